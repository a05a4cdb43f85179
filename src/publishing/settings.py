"""What those who are told of what is published are configured with."""

from typing import Literal

import msgspec


class Subscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every subscription has.

    `name` names it in the queue, the command line and the metrics. `devices` are ids of this site; none: all. One
    that fails is tried again after `retry_s`, twice as long each time up to `retry_max_s`; what could not be delivered
    for `give_up_hours` becomes a dead letter.
    """

    name: str
    devices: tuple[str, ...] = ()
    timeout_s: float = 10.0
    retry_s: float = 5.0
    retry_max_s: float = 300.0
    give_up_hours: float = 72.0


class WebhookSettings(Subscription, frozen=True, kw_only=True):
    """``[[webhook]]``: an address that takes CloudEvents, signed as Standard Webhooks does.

    `types` are the types told of; none: all that are published. The secrets stand in `secret_file`, one a line, or in
    the environment variable `secret_env`, separated by spaces. `ca_file` is whom its certificate must come from
    (PEM); empty: a public authority. Without TLS only this machine is told, unless `allow_http`.
    """

    url: str
    types: tuple[str, ...] = ()
    secret_file: str = ""
    secret_env: str = ""
    ca_file: str = ""
    allow_http: bool = False


class MllpSettings(Subscription, frozen=True, kw_only=True):
    """``[[mllp]]``: a system that takes HL7 v2 ORU^R01 over MLLP.

    With `tls` its certificate must come from `ca_file` (PEM; empty: from an authority that this machine trusts), and
    `certificate_file` with `key_file` is our own where it asks for one. The other keys fill MSH: `processing_id` is
    ``P`` in production, ``T`` for training, ``D`` for debugging; an empty `sending_facility` is the site's id.
    """

    host: str
    port: int
    tls: bool = True
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    sending_application: str = "BONEWATCH"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    processing_id: Literal["P", "T", "D"] = "P"
