"""What no type can say of ``[[webhook]]`` and ``[[mllp]]``: each fault with its key's path and words for its author."""

import re
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

from publishing import told
from publishing.published import TYPES
from publishing.settings import MllpSettings, Subscription, WebhookSettings
from streams.addresses import is_loopback, is_safe_address

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)

Fault = tuple[str, str]


def publishing_faults(
    webhooks: Sequence[WebhookSettings], mllp: Sequence[MllpSettings], devices: Collection[str]
) -> list[Fault]:
    """Return (path, words) of what is wrong with the subscriptions of a site with these devices."""
    faults, names = list[Fault](), set[str]()
    given: list[tuple[str, Subscription]] = [(f"$.webhook[{place}]", one) for place, one in enumerate(webhooks)]
    given += [(f"$.mllp[{place}]", one) for place, one in enumerate(mllp)]
    for path, one in given:
        if one.name in names:
            faults.append((f"{path}.name", f"{one.name} is the name of another subscription"))
        names.add(one.name)
        faults += _subscription_faults(path, one, devices)
        match one:
            case WebhookSettings():
                faults += _webhook_faults(path, one)
            case MllpSettings():
                faults += _mllp_faults(path, one)
    return faults


def publishing_warnings(webhooks: Sequence[WebhookSettings], mllp: Sequence[MllpSettings]) -> list[str]:
    """Return what is legal but will surprise."""
    open_ones = [f"[[webhook]] {one.name}" for one in webhooks if not is_safe_address(one.url)]
    open_ones += [f"[[mllp]] {one.name}" for one in mllp if not one.tls and not is_loopback(one.host)]
    said = [f"{one}: without TLS everybody on the way may read and change it" for one in open_ones]
    return said + [_half_told(one, missing) for one in webhooks if (missing := _missing_types(one))]


def _missing_types(one: WebhookSettings) -> list[str]:
    """Return what takes back values that a webhook is told of, and that it is not told of."""
    return [type_ for type_ in told.TYPES if type_ not in one.types] if told.TYPES[0] in one.types else []


def _half_told(one: WebhookSettings, missing: list[str]) -> str:
    words = "it is told of measurements, and not when one may not be used after all"
    return f"[[webhook]] {one.name}: {words}: add {', '.join(missing)}"


def _subscription_faults(path: str, one: Subscription, devices: Collection[str]) -> list[Fault]:
    checks = (
        ("name", _NAME.fullmatch(one.name), "is 1 to 40 small letters, digits and hyphens"),
        ("timeout_s", 0.1 <= one.timeout_s <= 60, "lies between 0.1 and 60"),
        ("retry_s", 0.1 <= one.retry_s <= 3600, "lies between 0.1 and 3600"),
        ("retry_max_s", one.retry_s <= one.retry_max_s <= 86_400, "lies between retry_s and 86400"),
        ("give_up_hours", 0 < one.give_up_hours <= 8760, "lies above 0, up to 8760 (a year)"),
    )
    faults = [(f"{path}.{name}", f"{name} {words}") for name, good, words in checks if not good]
    unknown = [device for device in one.devices if device not in devices]
    return faults + [(f"{path}.devices", f"{device} is no device of this file") for device in unknown]


def _webhook_faults(path: str, one: WebhookSettings) -> list[Fault]:
    faults = [
        (f"{path}.types", f"{type_} is not published; choose of {', '.join(TYPES)}")
        for type_ in one.types
        if type_ not in TYPES
    ]
    if bool(one.secret_file) == bool(one.secret_env):
        words = "give secret_file or secret_env, one of them: `bonewatch publish new-secret` makes a secret"
        faults.append((f"{path}.name", words))
    if words := _url_fault(one):
        faults.append((f"{path}.url", words))
    return faults


def _url_fault(one: WebhookSettings) -> str:
    try:
        parts = urlsplit(one.url)
        host, port, is_safe = parts.hostname, parts.port, is_safe_address(one.url)
    except ValueError:
        return "the url is no URL"
    if parts.scheme not in {"https", "http"} or not host or port == 0:
        return "the url begins with https:// and names a host"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "no name, password or fragment in the url: messages are signed, and checked by the signature"
    if not one.url.isascii() or any(letter.isspace() for letter in one.url):
        return "the url has no blanks, and ASCII letters only"
    if not is_safe and not one.allow_http:
        return "the url goes to another machine: begin it with https://, or say allow_http = true"
    return ""


def _mllp_faults(path: str, one: MllpSettings) -> list[Fault]:
    faults = []
    if not one.host.strip():
        faults.append((f"{path}.host", "name the host that takes the messages"))
    if not 0 < one.port < 65536:
        faults.append((f"{path}.port", "a port lies between 1 and 65535"))
    if bool(one.certificate_file) != bool(one.key_file):
        faults.append((f"{path}.certificate_file", "certificate_file and key_file go together"))
    if not one.tls and (one.ca_file or one.certificate_file):
        faults.append((f"{path}.tls", "ca_file, certificate_file and key_file go with tls = true"))
    return faults
