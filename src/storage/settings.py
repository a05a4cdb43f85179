"""What the database is configured with."""

import msgspec


class DatabaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[database]``: without a `url` the site runs an embedded PostgreSQL in its data folder.

    `password_file` holds the password of the `url`'s user in its first line; without it the environment variable
    ``BONEWATCH_DATABASE_PASSWORD`` counts. `events_kept_months` is how long raw events stay (0: for ever).
    """

    enabled: bool = True
    url: str = ""
    password_file: str = ""
    events_kept_months: int = 0


class AnnotationRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[measurements]``: from which change of weight and loss of height on it is said; local policy."""

    weight_change_kg: float = 10.0
    height_loss_cm: float = 4.0
