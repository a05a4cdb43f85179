"""What travels over Kafka, said for other programs: a JSON Schema for each message, one AsyncAPI document for all.

Made from the messages and the topics themselves, so that a new fact, outcome or topic appears by itself. The schemas
say what is written today; readers ignore fields that they do not know, and a change that breaks them gets a new
version in type name and topic.
"""

import importlib.metadata
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from streams import messages, policy
from streams.envelope import CONTENT_TYPE, FLEET_SOURCE, REFOLD_REQUESTED, SPECVERSION, TOO_LARGE
from streams.fleet import messages as fleet_messages
from streams.fleet.desk import GATE_KEY
from streams.fleet.messages import CirculatingPhantomRead, CrossCalibrationEstimated, ScannerRead, SharedStepEstimated
from streams.fleet.site_life import SITE_FORGOTTEN
from streams.forwarder import Head
from streams.messages import Event, Fact, Message, Outcome, RecordedOutcome
from streams.topics import (
    COMPARISONS,
    DEAD_LETTERS,
    DEVICE_EVENTS,
    GATES,
    OUTCOMES,
    READS,
    SITE_HEADS,
    WORKER_STATES,
    Topic,
    fleet_topics,
    site_topic,
)

PARTITIONS: Final = 8
"""Of an outcome topic where the administrator says nothing else."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"
KAFKA_BINDING: Final = "0.5.0"
JSON_TYPE: Final = CONTENT_TYPE.decode()
ANY_SITE: Final = "any-site"
SITE: Final = "{site}"

VOCABULARIES: Final = (messages, policy, fleet_messages)

Json = dict[str, Any]


class SiteRow(msgspec.Struct, frozen=True):
    """One row of a site's log: an event, and what the site's own engine made of it."""

    event: Event
    outcomes: tuple[RecordedOutcome, ...] = ()


RECORDS: Final[dict[str, type[msgspec.Struct]]] = {
    DEVICE_EVENTS.rstrip("."): SiteRow,
    SITE_HEADS: Head,
    **{topic: kind for kind, topic in (READS | COMPARISONS).items()},
}
"""The value of a record on a topic that carries no single outcome."""

SAID: Final = {
    DEVICE_EVENTS.rstrip("."): "The log of one site, whole and in its order, hash chain and all; kept for ever.",
    GATES: "The gate of each mode of each device; the last one of each is kept. Past `valid_until` it is held.",
    SITE_HEADS: "How far each site's log reaches, anchored outside the site; the last one of each site is kept.",
    READS[CirculatingPhantomRead]: "Readings of phantoms that visit several scanners, by phantom; kept for ever.",
    READS[ScannerRead]: "Charted readings of scanners' own phantoms, by make, for comparison between them.",
    COMPARISONS[CrossCalibrationEstimated]: "Scanners against the consensus of those that a phantom visited: "
    "an estimate for a physicist to accept, never in itself a correction. The last of each phantom is kept.",
    COMPARISONS[SharedStepEstimated]: "Steps that scanners of one make have in common, by software version and by "
    "time, and whether they are beyond what each does on its own. The last of each is kept.",
    DEAD_LETTERS: "Records that belong to no device of the site on whose topic they stood, as they came.",
    WORKER_STATES: "Internal to the fleet's workers: MessagePack without a contract, of a shape that changes.",
}

READ_KINDS: Final = {topic: kind for kind, topic in READS.items()}
COMPARISON_KINDS: Final = {topic: kind for kind, topic in COMPARISONS.items()}

INTERNAL: Final = {WORKER_STATES: "application/x-msgpack", DEAD_LETTERS: "application/octet-stream"}
"""Topics whose values have no schema, with what they are."""


def files() -> dict[Path, bytes]:
    """Return every file of the contracts, by its path below their folder."""
    found = {Path("asyncapi.json"): document(fleet_topics(PARTITIONS))}
    for folder, family in (("facts", Fact), ("outcomes", Outcome)):
        for message in get_args(family):
            found[Path("schemas", folder, f"{_tag(message)}.schema.json")] = schema(message)
    for topic, value in _values().items():
        found[_record_path(topic)] = schema(value)
    return {path: _text(content) for path, content in sorted(found.items())}


def write(folder: Path) -> list[Path]:
    """Write the files that differ, remove schemas of what is no more; return what was touched."""
    wanted = files()
    touched = differences(folder)
    for path in touched:
        whole = folder / path
        if path not in wanted:
            whole.unlink()
            continue
        whole.parent.mkdir(parents=True, exist_ok=True)
        whole.write_bytes(wanted[path])
    return touched


def differences(folder: Path) -> list[Path]:
    """Return which files of a folder are not what the code says, missing and superfluous ones too."""
    wanted = files()
    there = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.json")}
    return sorted(path for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path))


def schema(message: Any) -> Json:
    """Return a type's JSON Schema, complete in itself."""
    found = msgspec.json.schema(message)
    for name, definition in found["$defs"].items():
        if "description" in definition:
            definition["description"] = cleandoc(definition["description"])
        if "prefixItems" in definition:  # an array in the place of an object: its fields keep their names as titles
            kind = next(getattr(module, name) for module in VOCABULARIES if hasattr(module, name))
            for field, item in zip(kind.__struct_fields__, definition["prefixItems"], strict=True):
                item["title"] = field
    return {"$schema": DIALECT, **found}


def document(shared: tuple[Topic, ...]) -> Json:
    """Return the AsyncAPI document of a site's topic and the shared ones, as a subscriber sees them.

    Raises
    ------
    ValueError
        If a topic's values are neither described here nor named as internal.
    """
    channels = {_name(topic): _channel(topic) for topic in (site_topic(ANY_SITE), *shared)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Bonewatch fleet",
            "version": importlib.metadata.version("bonewatch"),
            "description": (
                "What a subscriber finds on Kafka: CloudEvents 1.0 in binary mode, JSON values, one topic a site and "
                "one a kind of outcome. A record may come twice, with the same `ce_id`. Ignore fields that you do not "
                "know. Generated by `bonewatch fleet contracts`."
            ),
        },
        "defaultContentType": JSON_TYPE,
        "servers": {
            "fleet": {
                "host": "kafka.example.org:9093",
                "protocol": "kafka-secure",
                "description": "Your brokers: TLS and SASL/SCRAM-SHA-512.",
                "security": [{"$ref": "#/components/securitySchemes/scram"}],
            }
        },
        "channels": channels,
        "operations": dict(_operations(channels)),
        "components": {
            "securitySchemes": {
                "scram": {"type": "scramSha512", "description": "A user of `bonewatch fleet access`, role subscriber."}
            }
        },
    }


def _values() -> dict[str, Any]:
    """Return the type of the values on each topic that has a schema."""
    found: dict[str, Any] = dict(RECORDS)
    for topic in dict.fromkeys(OUTCOMES.values()):
        found[topic] = _recorded(topic)
    return found


def _recorded(topic: str) -> type[msgspec.Struct]:
    """Return `RecordedOutcome` with the outcomes of one topic."""
    kinds = [kind for kind, name in OUTCOMES.items() if name == topic]
    one: Any = kinds[0]
    for kind in kinds[1:]:
        one |= kind
    fields = [(f.name, one if f.name == "outcome" else f.type) for f in msgspec.structs.fields(RecordedOutcome)]
    name = "".join(["Recorded", *(kind.__name__ for kind in kinds)])
    return msgspec.defstruct(name, fields, frozen=True, namespace={"__doc__": RecordedOutcome.__doc__})


def _channel(topic: Topic) -> Json:
    base, address = _base(topic), topic.name.replace(ANY_SITE, SITE)
    channel: Json = {"address": address, "messages": dict(_messages(base)), "bindings": {"kafka": _binding(topic)}}
    if base in SAID:
        channel["description"] = SAID[base]
    if base in INTERNAL:
        channel["x-internal"] = True
    if address != topic.name:
        channel["parameters"] = {
            "site": {"description": "A site's id: lower-case letters, digits, hyphens; at most 63."}
        }
    return channel


def _binding(topic: Topic) -> Json:
    """Return the topic as the administrator's command makes it."""
    config: Json = {name: int(value) for name, value in topic.config.items() if name != "cleanup.policy"}
    config["cleanup.policy"] = topic.config["cleanup.policy"].split(",")
    binding: Json = {
        "partitions": topic.partitions,
        "topicConfiguration": dict(sorted(config.items())),
        "bindingVersion": KAFKA_BINDING,
    }
    return binding if topic.name.startswith(DEVICE_EVENTS) else {"topic": topic.name, **binding}


def _messages(base: str) -> Iterator[tuple[str, Json]]:
    """Yield the messages of a topic by name."""
    if base in INTERNAL:
        yield "bytes", {"contentType": INTERNAL[base], "summary": SAID[base]}
        return
    if base not in _values():
        raise ValueError(f"no contract says what stands on {base}: name it in RECORDS, OUTCOMES or INTERNAL")
    payload = {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"./{_record_path(base).as_posix()}"}}
    message: Json = {"contentType": JSON_TYPE, "payload": payload, "bindings": _key(base)}
    if base == SITE_HEADS:
        yield "head", message | {"headers": _headers(("content-type", JSON_TYPE))}
        return
    if base in READ_KINDS:
        yield "reading", message | {"headers": _cloud_event([_tag(READ_KINDS[base])])}
        return
    if base in COMPARISON_KINDS:
        yield "comparison", message | {"headers": _of_fleet(_tag(COMPARISON_KINDS[base]))}
        return
    if base not in RECORDS:
        types = [_tag(kind) for kind, name in OUTCOMES.items() if name == base]
        yield "outcome", message | {"headers": _cloud_event(types)}
        return
    yield "row", message | {"headers": _cloud_event([_tag(fact) for fact in get_args(Fact)], of_row=True)}
    yield (
        "tooLarge",
        {
            "contentType": JSON_TYPE,
            "summary": "Stands where an event was too large to travel; the device is parked until somebody looks.",
            "payload": {"type": "object", "maxProperties": 0},
            "bindings": _key(base),
            "headers": _cloud_event([TOO_LARGE], of_row=True),
        },
    )
    yield (
        "refoldRequested",
        {
            "contentType": JSON_TYPE,
            "summary": "An operator's request, no row: workers and sinks take its device up anew; pass it over.",
            "payload": {"type": "object", "maxProperties": 0},
            "bindings": _key(base),
            "headers": _cloud_event([REFOLD_REQUESTED]),
        },
    )
    yield (
        "siteForgotten",
        {
            "contentType": JSON_TYPE,
            "summary": "An operator's request, no row: what stands before it counts no longer, and the site's log"
            " begins anew with the next record of position 1.",
            "payload": {
                "type": "object",
                "properties": {"by": {"type": "string"}, "reason": {"type": "string"}},
                "required": ["by", "reason"],
            },
            "bindings": {
                "kafka": {"key": {"type": "string", "description": "the site"}, "bindingVersion": KAFKA_BINDING}
            },
            "headers": _of_site(SITE_FORGOTTEN),
        },
    )


def _cloud_event(types: list[str], *, of_row: bool = False) -> Json:
    """Return the schema of a record's headers: a CloudEvent in binary mode."""
    place = {
        "ce_logid": {"type": "string", "description": "Which log: new after every restore."},
        "ce_deviceseq": {"type": "string", "pattern": "^[0-9]+$", "description": "The event's number in its device."},
        "ce_logposition": {"type": "string", "pattern": "^[0-9]+$", "description": "Its number in the site's log."},
        "ce_link": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "Link of the hash chain, SHA-256."},
    }
    return _headers(
        ("content-type", JSON_TYPE),
        ("ce_specversion", SPECVERSION.decode()),
        ce_id={"type": "string", "description": "Of the event or outcome: what comes twice has the same."},
        ce_source={"type": "string", "pattern": "^/sites/.+$"},
        ce_type={"type": "string", "enum": types},
        ce_subject={"type": "string", "pattern": "^[^/]+/.+$", "description": "The device, `site/device`."},
        ce_time={"type": "string", "description": "When it was recorded; empty where that is not known."},
        **(place if of_row else {}),
    )


def _of_site(type_: str) -> Json:
    """Return the schema of the headers of what somebody asks of a whole site."""
    return _headers(
        ("content-type", JSON_TYPE),
        ("ce_specversion", SPECVERSION.decode()),
        ("ce_type", type_),
        ce_id={"type": "string", "description": "Of the request."},
        ce_source={"type": "string", "pattern": "^/sites/.+$"},
        ce_subject={"type": "string", "pattern": "^[^/]+$", "description": "The site."},
        ce_time={"type": "string", "description": "When it was asked for."},
    )


def _of_fleet(type_: str) -> Json:
    """Return the schema of the headers of what no single device says."""
    return _headers(
        ("content-type", JSON_TYPE),
        ("ce_specversion", SPECVERSION.decode()),
        ("ce_source", FLEET_SOURCE.decode()),
        ("ce_type", type_),
        ce_id={"type": "string", "description": "Of the comparison, by its content."},
        ce_subject={"type": "string", "description": "What was compared: as the key."},
    )


def _headers(*fixed: tuple[str, str], **free: Json) -> Json:
    properties = {name: {"type": "string", "const": value} for name, value in fixed} | free
    return {"type": "object", "properties": properties, "required": list(properties)}


def _key(base: str) -> Json:
    """Return the binding that says by what a topic's records are keyed."""
    pattern, said = "^[^/]+/.+$", "the device, `site/device`"
    if base == GATES:
        pattern, said = f"^[^/]+/[^{GATE_KEY}]+{GATE_KEY}.+$", f"device and mode, `site/device{GATE_KEY}mode`"
    if base in READ_KINDS or base in COMPARISON_KINDS:
        pattern, said = "^.+$", "what is compared together: a phantom, or scanners of one make"
    if base == SITE_HEADS:
        pattern, said = "^[a-z0-9][a-z0-9-]{0,62}$", "the site's id"
    key = {"type": "string", "pattern": pattern, "description": said}
    return {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING}}


def _operations(channels: Json) -> Iterator[tuple[str, Json]]:
    for name, channel in channels.items():
        if "x-internal" not in channel:
            yield f"receive-{name}", {"action": "receive", "channel": {"$ref": f"#/channels/{name}"}}


def _base(topic: Topic) -> str:
    return topic.name.removesuffix(f".{ANY_SITE}")


def _name(topic: Topic) -> str:
    """Return what a topic is called in the document: its name without `bonewatch.` and version."""
    return _base(topic).split(".")[1]


def _record_path(topic: str) -> Path:
    return Path("schemas", "records", f"{topic}.schema.json")


def _tag(message: type[Message]) -> str:
    tag = message.__struct_config__.tag
    assert isinstance(tag, str)  # noqa: S101 - every message is declared with one
    return tag


def _text(content: Json) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
