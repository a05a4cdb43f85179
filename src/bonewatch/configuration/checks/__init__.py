"""What no type can say of a configuration: each fault with the path of the key and words for its author."""

import math
from datetime import time
from pathlib import Path
from urllib.parse import urlsplit

from alerts.settings_checks import alerts_faults
from bonewatch.configuration.checks.dicom import dicom_faults
from bonewatch.configuration.checks.files import files_faults
from bonewatch.configuration.checks.logs import log_faults, syslog_faults
from bonewatch.configuration.checks.printed import printed_faults
from bonewatch.configuration.clinic_calendar import closure_faults
from bonewatch.configuration.duty_sections import duty_faults, life_faults
from bonewatch.configuration.sections import ClinicSection, Config, DeviceSection, PhantomSection, QcSection
from collectors.protocols.known import names
from dashboards.access.settings import access_faults
from publishing.settings_checks import publishing_faults
from qa_models.metrology import WeighingInstrument, WeighingRange
from storage.settings import AnnotationRules, DatabaseSettings
from streams.fold.schedule import zone
from streams.fold.state import VENDOR_QC
from streams.policy import DeviceKind, Frequency, PhantomRole


def faults_in(config: Config) -> list[tuple[str, str]]:
    """Return (path, words) of what no type can say."""
    faults: list[tuple[str, str]] = []
    try:
        zone(config.site.time_zone)
    except ValueError as error:
        faults.append(("$.site.time_zone", str(error)))
    if not config.site.id or "/" in config.site.id:
        faults.append(("$.site.id", "the site's id is a short word without a slash"))
    if not config.device:
        faults.append(("$.site", "no [[device]] is configured"))
    faults += _listening_faults(config)
    faults += _database_faults("$.database", config.database)
    faults += _measurement_faults("$.measurements", config.measurements)
    faults += access_faults(config.api, config.openid)
    faults += dicom_faults(config)
    faults += syslog_faults("$.syslog", config.syslog)
    faults += printed_faults(config)
    faults += files_faults(config)
    faults += _repeated(config)
    for place, device in enumerate(config.device):
        faults += _device_faults(f"$.device[{place}]", device)
        faults += log_faults(f"$.device[{place}]", device, config.syslog)
    known = {device.id for device in config.device}
    faults += publishing_faults(config.webhook, config.mllp, known)
    faults += alerts_faults(config.alerts) if config.alerts is not None else []
    for place, clinic in enumerate(config.clinic):
        faults += _clinic_faults(f"$.clinic[{place}]", clinic, known)
    return faults + _due_faults(config)


def _listening_faults(config: Config) -> list[tuple[str, str]]:
    """Return what is wrong with the ports that the site listens on; 0 takes a free one."""
    ports = {
        "$.dicom.port": config.dicom.port,
        "$.http.port": config.http.port,
        **{f"$.syslog.{name}": getattr(config.syslog, name) for name in ("udp_port", "tcp_port", "tls_port")},
    }
    faults = [
        (path, f"{path.rpartition('.')[2]} lies between 0 (takes a free one) and 65535")
        for path, port in ports.items()
        if port is not None and not 0 <= port <= 65_535
    ]
    taken = dict[int, str]()
    for path, port in ports.items():
        if port and path != "$.syslog.udp_port":  # UDP has ports of its own
            if port in taken:
                faults.append((path, f"port {port} is {taken[port]}'s already: give each its own"))
            taken.setdefault(port, f"[{path.split('.')[1]}]")
    return faults


def _due_faults(config: Config) -> list[tuple[str, str]]:
    faults = closure_faults(config.closure, config.calendar, [device.id for device in config.device])
    wrong = duty_faults(config.duty, [(device.id, device.kind) for device in config.device])
    if not wrong:
        for place, device in enumerate(config.device):
            wrong += life_faults(f"$.device[{place}]", device.life, config.policy(device).duties)
    return faults + wrong


def _measurement_faults(path: str, rules: AnnotationRules) -> list[tuple[str, str]]:
    limits = {name: getattr(rules, name) for name in rules.__struct_fields__}
    return [
        (f"{path}.{name}", f"{name} is more than 0, and finite")
        for name, limit in limits.items()
        if not 0 < limit < math.inf
    ]


def _database_faults(path: str, database: DatabaseSettings) -> list[tuple[str, str]]:
    faults = []
    try:
        url = urlsplit(database.url)
        has_password = url.password is not None or "password=" in url.query
    except ValueError:
        return [(f"{path}.url", "the url is no URL")]
    if database.url and url.scheme not in {"postgresql", "postgres"}:
        faults.append((f"{path}.url", "the url begins with postgresql://"))
    if has_password:
        words = "no password in this file: give password_file, or the environment BONEWATCH_DATABASE_PASSWORD"
        faults.append((f"{path}.url", words))
    elif database.url:
        from storage.connection import tls_fault  # noqa: PLC0415 - PostgreSQL's library is not needed to read a file

        if (fault := tls_fault(database.url)) is not None:
            faults.append((f"{path}.url", fault))
    if database.password_file and not database.url:
        faults.append((f"{path}.password_file", "password_file goes with a url"))
    if database.password_file and not Path(database.password_file).is_absolute():
        faults.append((f"{path}.password_file", "password_file is an absolute path"))
    if database.events_kept_months < 0:
        faults.append((f"{path}.events_kept_months", "events_kept_months is 0 (for ever) or more"))
    return faults


def _repeated(config: Config) -> list[tuple[str, str]]:
    faults, ids, titles = [], set[str](), {config.dicom.ae_title}
    for place, device in enumerate(config.device):
        if device.id in ids:
            faults.append((f"$.device[{place}].id", f"{device.id} is configured twice"))
        if device.ae_title and device.ae_title in titles:
            faults.append((f"$.device[{place}].ae_title", f"AE title {device.ae_title} is taken"))
        ids.add(device.id)
        titles.add(device.ae_title)
    return faults


def _device_faults(path: str, device: DeviceSection) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    if not device.id or "/" in device.id:
        faults.append((f"{path}.id", "a device's id is a short word without a slash"))
    if device.uptime is not None and not 0 < device.uptime.target_percent <= 100:
        faults.append((f"{path}.uptime.target_percent", "target_percent lies above 0, up to 100"))
    if device.kind is not DeviceKind.SCANNER:
        return faults + _line_faults(path, device) + _standard_faults(path, device) + _significance_faults(path, device)
    if device.port or device.protocol or device.standard:
        faults.append((path, "protocol, port and standards are of scales and stadiometers, not of a scanner"))
    if not device.ae_title or len(device.ae_title) > 16:
        faults.append((f"{path}.ae_title", "a scanner needs its AE title (1 to 16 characters)"))
    if not any(phantom.role is PhantomRole.INDEPENDENT for phantom in device.phantom):
        faults.append((path, 'a scanner needs a [[device.phantom]] with role = "independent"'))
    for place, mode in enumerate(device.mode):
        vouching = [
            p for p in device.phantom if p.role is PhantomRole.INDEPENDENT and mode.name in (p.modes or [mode.name])
        ]
        if not vouching:
            faults.append((f"{path}.mode[{place}].name", f"no independent phantom vouches for {mode.name}"))
    ids = [phantom.patient_id for phantom in device.phantom]
    for place, phantom in enumerate(device.phantom):
        faults += _phantom_faults(f"{path}.phantom[{place}]", phantom, ids, [mode.name for mode in device.mode])
    return faults + _qc_faults(f"{path}.qc", device.qc) + _significance_faults(path, device)


def _significance_faults(path: str, device: DeviceSection) -> list[tuple[str, str]]:
    faults, modes = [], [mode.name for mode in device.mode]
    if device.significant_change and device.kind is not DeviceKind.SCANNER:
        faults.append((f"{path}.significant_change", "least significant changes are of scanners"))
    for place, one in enumerate(device.significant_change):
        key = f"{path}.significant_change[{place}]"
        if not 0 < one.value < math.inf:
            faults.append((f"{key}.value", "a least significant change lies above 0"))
        if not one.source.strip():
            faults.append((f"{key}.source", "name the precision study it comes from: without one nothing is claimed"))
        if not one.region.strip():
            faults.append((f"{key}.region", 'name the region, such as "L1-L4", "Neck" or "Total"'))
        unknown = [mode for mode in one.modes if mode not in modes]
        faults += [(f"{key}.modes", f"{mode} is no [[device.mode]] of this scanner") for mode in unknown]
    if not 0 <= device.adult_from_years <= 130:
        faults.append((f"{path}.adult_from_years", "an age in years lies from 0 to 130"))
    return faults


def _line_faults(path: str, device: DeviceSection) -> list[tuple[str, str]]:
    if bool(device.protocol) != bool(device.port):
        return [(path, "protocol and port go together; without both, readings are entered by hand")]
    if device.protocol and not device.protocol.endswith(".toml") and device.protocol not in names():
        words = f"{device.protocol} is no protocol: {', '.join(names())}, or the path of your own .toml"
        return [(f"{path}.protocol", words)]
    return []


def _standard_faults(path: str, device: DeviceSection) -> list[tuple[str, str]]:
    rules, faults = device.checks, list[tuple[str, str]]()
    ids = [standard.id for standard in device.standard]
    for place, standard in enumerate(device.standard):
        where = f"{path}.standard[{place}]"
        if not standard.id.strip() or ids.count(standard.id) > 1:
            faults.append((f"{where}.id", "each standard has a short id of its own"))
        if not 0 < standard.nominal <= 1000:
            faults.append((f"{where}.nominal", "the certificate's value lies above 0, in kg or cm"))
    weighs = device.kind in {DeviceKind.SCALE, DeviceKind.HOIST}
    if weighs and device.standard and not rules.ranges and rules.limit_kg is None:
        faults.append((f"{path}.checks", "say what is permitted: limit_kg, or ranges = [[largest kg, e in g], ...]"))
    if rules.limit_kg is not None and rules.limit_kg <= 0:
        faults.append((f"{path}.checks.limit_kg", "limit_kg is above 0"))
    if not 0 <= rules.warn_mm <= rules.fail_mm:
        faults.append((f"{path}.checks.warn_mm", "warn_mm lies between 0 and fail_mm"))
    if not 0 <= rules.grace_days <= 7:
        faults.append((f"{path}.checks.grace_days", "grace_days lies between 0 and 7"))
    try:
        if rules.ranges:
            WeighingInstrument(tuple(WeighingRange(1000 * largest, e_g) for largest, e_g in rules.ranges))
    except ValueError as error:
        faults.append((f"{path}.checks.ranges", str(error)))
    return faults


def _phantom_faults(path: str, phantom: PhantomSection, ids: list[str], modes: list[str]) -> list[tuple[str, str]]:
    faults = []
    if not phantom.patient_id.strip() or len(phantom.patient_id) > 64:
        faults.append((f"{path}.patient_id", "the phantom's PatientID has 1 to 64 characters"))
    if phantom.patient_id == VENDOR_QC:
        faults.append((f"{path}.patient_id", f"{VENDOR_QC} is the name of the scanner's own QC; take another"))
    if phantom.role is PhantomRole.MANUFACTURER_DAILY and phantom.frequency is not Frequency.DAILY:
        faults.append((f"{path}.frequency", "the manufacturer's daily QC is daily"))
    if phantom.role is PhantomRole.CIRCULATING and not phantom.serial:
        faults.append((f"{path}.serial", "a circulating phantom is known by its serial number: the same at every site"))
    if ids.count(phantom.patient_id) > 1:
        faults.append((f"{path}.patient_id", f"{phantom.patient_id} is configured twice"))
    if phantom.nominal_g_cm2 is not None and not 0 < phantom.nominal_g_cm2 <= 5:
        faults.append((f"{path}.nominal_g_cm2", "the nominal BMD lies between 0 and 5 g/cm2"))
    unknown = [mode for mode in phantom.modes if mode not in modes]
    return faults + [(f"{path}.modes", f"{mode} is no [[device.mode]] of this scanner") for mode in unknown]


def _qc_faults(path: str, qc: QcSection) -> list[tuple[str, str]]:
    limits = (
        ("tolerance_percent", 0 < qc.tolerance_percent <= 10, "lies above 0 and up to 10"),
        ("sigma_floor_percent", 0 < qc.sigma_floor_percent <= 5, "lies above 0 and up to 5"),
        ("min_scans", qc.min_scans >= 10, "is at least ten (service guideline, v3, Appendix 3)"),
        ("established_at", qc.established_at >= qc.min_scans, "is at least min_scans"),
        ("repeats", 0 <= qc.repeats <= 3, "lies between 0 and 3"),
        ("plausible_percent", qc.tolerance_percent < qc.plausible_percent <= 50, "exceeds the tolerance, up to 50"),
        ("cusum_k", 0 <= qc.cusum_k <= 3, "lies between 0 and 3 sigmas"),
        ("cusum_h", 0 < qc.cusum_h <= 20, "lies above 0 and up to 20 sigmas"),
        ("independent_grace_days", 0 <= qc.independent_grace_days <= 7, "lies between 0 and 7"),
    )
    return [(f"{path}.{name}", f"{name} {words}") for name, good, words in limits if not good]


def _clinic_faults(path: str, clinic: ClinicSection, known: set[str]) -> list[tuple[str, str]]:
    faults = []
    if clinic.device not in known:
        faults.append((f"{path}.device", f"{clinic.device} is no device of this file"))
    hours = {}
    for name in ("starts", "ends"):
        try:
            hours[name] = time.fromisoformat(getattr(clinic, name))
        except ValueError:
            faults.append((f"{path}.{name}", f"{name} is a time such as 08:30"))
    if len(hours) == 2 and hours["starts"] >= hours["ends"]:
        faults.append((f"{path}.ends", "a clinic ends after it starts"))
    if not 1 <= clinic.slot_minutes <= 240:
        faults.append((f"{path}.slot_minutes", "slot_minutes lies between 1 and 240"))
    return faults
