"""The page of topics and messages, from the AsyncAPI document and the JSON Schemas of the contracts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

from bonewatch.reference.markdown import first_sentence, table
from bonewatch.reference.markdown import page as written
from streams import contracts
from streams.messages import Fact, Outcome
from streams.topics import fleet_topics

Json = dict[str, Any]

DAY_MS: Final = 86_400_000


def page(docs: Path) -> str:
    """Return the page."""
    del docs
    document = contracts.document(fleet_topics(contracts.PARTITIONS))
    said = (
        "What another program may read from Kafka. What is promised of it, and the documents for programs:",
        "[contracts](../contracts/README.md).",
    )
    return written(
        "Topics and messages",
        said,
        ["## Topics"],
        table(("Topic", "Key", "Kept", "What stands on it"), map(_topic, document["channels"].values())),
        [
            "## Facts",
            "",
            "What happened. They stand on a site's own topic, in the order of its log.",
            *_messages("facts", Fact),
        ],
        [
            "## Outcomes",
            "",
            "What was concluded from the facts, each on its own topic too.",
            *_messages("outcomes", Outcome),
        ],
    )


def _topic(channel: Json) -> tuple[str, str, str, str]:
    first = next(iter(channel["messages"].values()))
    key = first.get("bindings", {}).get("kafka", {}).get("key", {}).get("description", "")
    kinds = first.get("headers", {}).get("properties", {}).get("ce_type", {}).get("enum", [])
    described = channel.get("description") or ", ".join(f"`{kind}`" for kind in kinds)
    return f"`{channel['address']}`", key, _kept(channel["bindings"]["kafka"]["topicConfiguration"]), described


def _kept(settings: Json) -> str:
    if "compact" in settings["cleanup.policy"]:
        return "the last of each key"
    kept = int(settings.get("retention.ms", -1))
    return "for ever" if kept < 0 else f"{kept / DAY_MS:g} days"


def _messages(folder: str, family: Any) -> Iterator[str]:
    for message in get_args(family):
        schema = contracts.schema(message)
        name = str(message.__struct_config__.tag)
        shape = schema["$defs"][message.__name__]
        fields = ", ".join(_field(key, value, shape) for key, value in shape["properties"].items() if key != "type")
        yield from ("", f"### {name}", "")
        yield first_sentence(shape.get("description", ""))
        yield f"[Schema](../contracts/schemas/{folder}/{name}.schema.json)."
        if fields:
            yield from ("", f"Fields: {fields}.")


def _field(name: str, shape: Json, of: Json) -> str:
    optional = "" if name in of.get("required", ()) else ", optional"
    return f"`{name}` ({type_of(shape)}{optional})"


def type_of(shape: Json) -> str:
    """Return what a JSON Schema asks for, in a word or two."""
    if "$ref" in shape:
        return f"`{shape['$ref'].rpartition('/')[2]}`"
    if choices := shape.get("anyOf", shape.get("oneOf")):
        return " or ".join(dict.fromkeys(type_of(one) for one in choices))
    if "const" in shape or "enum" in shape:
        return " or ".join(f"`{one}`" for one in shape.get("enum", [shape.get("const")]))
    if shape.get("type") == "array":
        items = shape.get("items")
        return f"list of {type_of(items)}" if isinstance(items, dict) and items else "list"
    if shape.get("format") in ("date-time", "date"):
        return {"date-time": "time", "date": "day"}[shape["format"]]
    kinds = shape.get("type", "anything")
    listed: list[str] = kinds if isinstance(kinds, list) else [kinds]
    return " or ".join(KINDS.get(kind, kind) for kind in listed)


KINDS: Final = {"string": "text", "boolean": "true or false", "null": "nothing", "integer": "whole number"}
