"""The shape of a site's configuration file, section by section, and what it makes of each device."""

from datetime import date
from typing import Literal

from alerts.rules import WEEKDAYS, Weekday
from alerts.settings import AlertsSettings
from bonewatch.configuration.clinic_calendar import CalendarSection, ClosureSection, closures_of
from bonewatch.configuration.duty_sections import DutySection, Life, duties_of
from bonewatch.configuration.section import Section
from collectors.fault_logs.settings import SyslogSettings
from collectors.files.settings import FileSource, FilesSettings
from collectors.printed.settings import PrintedDevice, PrintedSettings
from collectors.settings import DicomSettings
from dashboards.access.settings import ApiSettings, OpenIdSettings
from publishing.settings import MllpSettings, WebhookSettings
from storage.settings import AnnotationRules, DatabaseSettings
from streams.policy import (
    CheckRules,
    Clinic,
    ClinicCalendar,
    CommissioningStep,
    DeviceKind,
    DevicePolicy,
    Enforcement,
    Frequency,
    LeastSignificantChange,
    Mode,
    Phantom,
    PhantomRole,
    QcRules,
    RunRules,
    Standard,
)
from streams.uptime.report import Target


class SiteSection(Section, frozen=True):
    """``[site]``: `id` names the site in the log and must never change."""

    id: str
    name: str = ""
    time_zone: str = "Europe/London"
    data_dir: str = "var"


class HttpSection(Section, frozen=True):
    """``[http]``: where the console listens, and whether its status board is open to all on the network."""

    host: str = "127.0.0.1"
    port: int = 8080
    secure_cookies: bool = False
    session_hours: float = 10.0
    public_status: bool = True


class PhantomSection(Section, frozen=True):
    """``[[device.phantom]]``: how a phantom's scans are recognised and which duty they fulfil."""

    role: PhantomRole
    patient_id: str
    serial: str = ""
    region: str = "L1-L4"
    frequency: Frequency = Frequency.DAILY
    nominal_g_cm2: float | None = None
    patient_name: str | None = None
    modes: tuple[str, ...] = ()


class QcSection(Section, frozen=True):
    """``[device.qc]``: limits and rules. All but the guideline's 1.5 % and ten scans is local policy."""

    tolerance_percent: float = 1.5
    sigma_floor_percent: float = 0.5
    min_scans: int = 10
    established_at: int = 25
    rules: RunRules = "none"
    repeats: int = 1
    plausible_percent: float = 10.0
    cusum_k: float = 0.5
    cusum_h: float = 5.0
    hold_on_signal: bool = False
    manufacturer_required: bool = True
    independent_grace_days: int = 1


class ModeSection(Section, frozen=True):
    """``[[device.mode]]``: a scan mode and the procedure codes that ask for it."""

    name: str
    procedure_codes: tuple[str, ...] = ()


class SignificantChangeSection(Section, frozen=True):
    """``[[device.significant_change]]``: a least significant change (95 %) and where it was found."""

    region: str
    anatomy: Literal["spine", "hip", "forearm", "whole_body"]
    value: float
    source: str
    unit: Literal["percent", "g_cm2"] = "percent"
    population: Literal["adult", "child"] = "adult"
    modes: tuple[str, ...] = ()


class LineSection(Section, frozen=True):
    """``[device.line]``: settings of a serial line where they are not the protocol's usual ones."""

    baud: int = 9600
    bits: Literal[7, 8] = 8
    parity: Literal["none", "even", "odd"] = "none"
    stop: Literal[1, 2] = 1
    flow: Literal["none", "xonxoff", "rtscts"] = "none"


class StandardSection(Section, frozen=True):
    """``[[device.standard]]``: a weight (kg) or rod (cm) of known value, and its certificate.

    With `valid_until` the renewal of the certificate is due then.
    """

    id: str
    nominal: float
    certificate: str = ""
    valid_until: date | None = None


class ChecksSection(Section, frozen=True):
    """``[device.checks]``: how often the standards are due and what is permitted; local policy."""

    frequency: Frequency = Frequency.WEEKLY
    grace_days: int = 1
    ranges: tuple[tuple[float, float], ...] = ()
    limit_kg: float | None = None
    warn_mm: float = 2.0
    fail_mm: float = 5.0


class UptimeSection(Section, frozen=True):
    """``[device.uptime]``: what a device's service contract promises."""

    target_percent: float
    counts_planned: bool = False


class LogSection(Section, frozen=True):
    """``[[device.log]]``: where a device's log comes from, by syslog (`address`) or as a `file`, and what it means."""

    rules: str
    address: str = ""
    host: str = ""
    file: str = ""
    facts_an_hour: int = 240


class KafkaSection(Section, frozen=True):
    """``[kafka]``: where the site's log is sent to; empty servers: the site stands alone."""

    bootstrap_servers: str = ""
    ca_file: str = ""
    username: str = ""
    password_file: str = ""


class DeviceSection(Section, frozen=True):
    """``[[device]]``: one scanner, scale, stadiometer or hoist. `ring` says whom the operator rings.

    With `private_values` densities are also taken from private elements of a Hologic's images. `dicom_host` and
    `dicom_port` are where a scanner takes reports of Storage Commitment. `commissioning_waived` are the steps that
    local policy does not ask for. Its replacement is due at the end of its service life, and at the maker's
    `end_of_life`.
    """

    id: str
    kind: DeviceKind
    make: str = ""
    model: str = ""
    serial: str = ""
    ae_title: str = ""
    enforcement: Enforcement = Enforcement.SHADOW
    ring: str = ""
    phantom: tuple[PhantomSection, ...] = ()
    qc: QcSection = QcSection()
    mode: tuple[ModeSection, ...] = ()
    protocol: str = ""
    port: str = ""
    line: LineSection | None = None
    standard: tuple[StandardSection, ...] = ()
    checks: ChecksSection = ChecksSection()
    printed: PrintedDevice | None = None
    private_values: bool = False
    dicom_host: str = ""
    dicom_port: int = 0
    log: tuple[LogSection, ...] = ()
    file: tuple[FileSource, ...] = ()
    commissioning_waived: tuple[CommissioningStep, ...] = ()
    uptime: UptimeSection | None = None
    installed: date | None = None
    service_life_years: int = 0
    end_of_life: date | None = None
    significant_change: tuple[SignificantChangeSection, ...] = ()
    adult_from_years: int = 20

    @property
    def life(self) -> Life:
        """What is said of its certificates and its end."""
        certificates = tuple((one.id, one.valid_until) for one in self.standard if one.valid_until)
        return Life(self.installed, self.service_life_years, self.end_of_life, certificates)


class ClinicSection(Section, frozen=True):
    """``[[clinic]]``: regular clinic hours of one device, in the site's zone."""

    device: str
    days: tuple[Weekday, ...]
    starts: str
    ends: str
    slot_minutes: int = 20


class Config(Section, frozen=True):
    """The whole file."""

    site: SiteSection
    dicom: DicomSettings = DicomSettings()
    http: HttpSection = HttpSection()
    api: ApiSettings = ApiSettings()
    openid: OpenIdSettings = OpenIdSettings()
    database: DatabaseSettings = DatabaseSettings()
    measurements: AnnotationRules = AnnotationRules()
    kafka: KafkaSection = KafkaSection()
    webhook: tuple[WebhookSettings, ...] = ()
    mllp: tuple[MllpSettings, ...] = ()
    printed: PrintedSettings = PrintedSettings()
    files: FilesSettings = FilesSettings()
    syslog: SyslogSettings = SyslogSettings()
    device: tuple[DeviceSection, ...] = ()
    clinic: tuple[ClinicSection, ...] = ()
    closure: tuple[ClosureSection, ...] = ()
    calendar: CalendarSection = CalendarSection()
    duty: tuple[DutySection, ...] = ()
    alerts: AlertsSettings | None = None

    def key(self, device_id: str) -> str:
        """Return the device's key in the log, ``site/device``."""
        return f"{self.site.id}/{device_id}"

    def policy(self, device: DeviceSection) -> DevicePolicy:
        """Return the policy that the file gives a device."""
        rules = {name: getattr(device.qc, name) for name in QcRules.__struct_fields__}
        return DevicePolicy(
            kind=device.kind,
            make=device.make,
            model=device.model,
            serial=device.serial,
            ae_title=device.ae_title,
            enforcement=device.enforcement,
            phantoms=tuple(_phantom(section) for section in device.phantom),
            qc=QcRules(**rules),
            modes=tuple(Mode(mode.name, mode.procedure_codes) for mode in device.mode),
            ring=device.ring,
            commissioning_waived=device.commissioning_waived,
            significant_changes=tuple(_significant(section) for section in device.significant_change),
            adult_from_years=device.adult_from_years,
            checks=_checks(device),
            duties=duties_of(device.id, device.kind, self.duty, device.life),
        )

    def clinics(self, device: DeviceSection) -> ClinicCalendar:
        """Return the clinics and closures that the file gives a device."""
        clinics = tuple(
            Clinic(tuple(WEEKDAYS.index(day) for day in clinic.days), clinic.starts, clinic.ends, clinic.slot_minutes)
            for clinic in self.clinic
            if clinic.device == device.id
        )
        closures = closures_of(device.id, self.closure, self.calendar.except_dates)
        return ClinicCalendar(self.site.time_zone, clinics, closures)

    def targets(self) -> dict[str, Target]:
        """Return what service contracts promise, by device key."""
        return {
            self.key(device.id): Target(device.uptime.target_percent, device.uptime.counts_planned)
            for device in self.device
            if device.uptime is not None
        }

    def devices(self) -> dict[str, tuple[DevicePolicy, ClinicCalendar]]:
        """Return policy and calendar by device key, in the file's order."""
        return {self.key(device.id): (self.policy(device), self.clinics(device)) for device in self.device}


def _checks(device: DeviceSection) -> CheckRules:
    rules = device.checks
    return CheckRules(
        standards=tuple(Standard(one.id, one.nominal, one.certificate) for one in device.standard),
        frequency=rules.frequency,
        grace_days=rules.grace_days,
        ranges=rules.ranges,
        limit_kg=rules.limit_kg,
        warn_mm=rules.warn_mm,
        fail_mm=rules.fail_mm,
    )


def _significant(section: SignificantChangeSection) -> LeastSignificantChange:
    return LeastSignificantChange(
        region=section.region,
        value=section.value,
        source=section.source.strip(),
        anatomy=section.anatomy,
        unit=section.unit,
        population=section.population,
        modes=section.modes,
    )


def _phantom(section: PhantomSection) -> Phantom:
    return Phantom(
        patient_id=section.patient_id,
        role=section.role,
        region=section.region,
        frequency=section.frequency,
        serial=section.serial,
        nominal_g_cm2=section.nominal_g_cm2,
        patient_name=section.patient_name,
        modes=section.modes,
    )
