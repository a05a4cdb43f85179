"""Wires one site: log, engine, DICOM front end, console; starts them in order and stops them in reverse."""

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

import msgspec
import structlog

from bonewatch.alert_situation import CLOCK_SETTLING_S, SitePorts, SituationGatherer
from bonewatch.alerting import SECRET, SiteAlerts
from bonewatch.alive import interrupted, interruption, marked
from bonewatch.certificates import certificate_files
from bonewatch.configuration.loading import warnings
from bonewatch.configuration.sections import Config
from bonewatch.data_folder import LOG_FILE, make_data_folder, only_site_here, open_users
from bonewatch.dicom_services import dicom_services
from bonewatch.errors import ConfigError
from bonewatch.exported_files import export_folder, kept_rejects
from bonewatch.fault_logs import FaultLogs
from bonewatch.printed_reports import patients_pages, printed_reports, report_folder
from bonewatch.pseudonym_keys import note_lost_keys
from bonewatch.reporting.site import site_reports
from bonewatch.review_assessor import ReviewAssessor
from collectors.archive import Archive
from collectors.attachments import Attachments
from collectors.dicom.bookings import Bookings
from collectors.dicom.entity import DicomEntity
from collectors.dicom.hearing import Hearing
from collectors.dicom.store import StoreTiming
from collectors.dicom.upstream import UpstreamWorklist
from collectors.errors import CollectorError
from collectors.printed.reports import PrintedReports
from collectors.protocols.known import protocol
from collectors.protocols.profile import LineSettings
from collectors.pseudonym import Pseudonyms
from collectors.quarantine import Quarantine
from collectors.serial.desk import SerialDesk
from collectors.serial.line import SerialDevice
from dashboards.app import create_app
from dashboards.audit.trail import AUDIT_FILE, AuditError, SqliteTrail
from dashboards.demo_panel import DemoControls
from dashboards.server import ConsoleServer
from dashboards.settings import HttpSettings
from dashboards.users import UserStore
from publishing.published import PublishedLog
from storage.measurement_queries import DatabaseMeasurements
from storage.opening import connect_to_running, database_of
from storage.site_sink import SiteSink
from streams.engine import SiteEngine
from streams.lines import NO_LINES, Lines
from streams.machine_clock import is_clock_kept
from streams.messages import Draft
from streams.site import EventConflictError, SiteUnavailableError
from streams.sqlite_log import SqliteEventLog
from streams.sqlite_readings import SqliteReadings
from streams.studies import StudyData
from streams.uptime.reader import LoggedUptime
from streams.what_if.reader import LoggedPast

if TYPE_CHECKING:
    from bonewatch.fleet import SiteForwarder
    from bonewatch.publishing import Publisher


class Site:
    """One running site.

    Parameters
    ----------
    config
        The checked configuration.
    data_dir
        Where log, users and archive lie; made if missing, private to the user.
    clock
        Says what time it is, UTC; only a demonstration or a test brings its own.
    demo
        The demonstration's controls; none in a real department.
    on_store
        Called after each C-STORE with where its time went.
    folder
        Where relative paths of the configuration start; the data folder if not given.
    """

    def __init__(
        self,
        config: Config,
        data_dir: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        demo: DemoControls | None = None,
        on_store: Callable[[StoreTiming], None] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._config = config
        self._data_dir = data_dir
        self._clock = clock
        self._demo = demo
        self._on_store = on_store
        self._folder = folder
        self._pseudonyms = Pseudonyms(data_dir)
        self._hearing = Hearing(clock, (device.ae_title for device in config.device if device.ae_title))
        self.lines: Lines = NO_LINES
        self.fault_logs: FaultLogs | None = None
        self._stack = ExitStack()
        self._logger = structlog.get_logger("bonewatch.site")

    def start(self, history: Iterable[tuple[datetime, Draft]] = ()) -> Self:
        """Open the log, record `history` (facts of the past), restore states, then listen.

        On any failure what was opened is closed.
        """
        try:
            self._start(history)
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self, history: Iterable[tuple[datetime, Draft]]) -> None:
        for warning in warnings(self._config):
            self._logger.warning("configuration", note=warning)
        make_data_folder(self._data_dir)
        self._stack.enter_context(only_site_here(self._data_dir))
        log = self._stack.enter_context(SqliteEventLog(self._data_dir / LOG_FILE))
        note_lost_keys(self._pseudonyms, log)
        self.engine = SiteEngine(log, clock=self._clock)
        self.engine.import_history(history)
        devices = self._config.devices()
        self._stack.callback(self.engine.stop)
        given = (self._database_sink(), self._forwarder(), self._publisher())
        followers = [follower for follower in given if follower is not None]
        self.engine.start(devices)
        if missed := interruption(self._data_dir, list(devices), self._clock()):
            for draft in missed:
                self.engine.append([draft])
            self._logger.warning("was_not_watching", devices=len(missed), see="bonewatch report gap")
        woken = [self._woken] if self._demo is None else []  # a demonstration lets nights pass at once
        self._stack.enter_context(marked(self._data_dir, self._clock, *woken))
        names = {device.id: self._config.key(device.id) for device in self._config.device}
        self.readings = SqliteReadings(self._data_dir / LOG_FILE, self.engine, names)
        assessor = ReviewAssessor(self.engine, self.readings, names)
        self._stack.callback(assessor.stop)
        assessor.start()
        quarantine = self._quarantine()
        reports = self._printed_reports(quarantine)
        self._start_dicom(quarantine, reports)
        self._start_printed(reports)
        self._start_files()
        self._start_lines()
        self._start_logs()
        self._start_console()
        for follower in followers:
            follower.start()
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be looked through while a scanner waits
        self._logger.info("site_ready", site=self._config.site.id, console=self.url, dicom_port=self.dicom_port)

    def _woken(self, since: datetime, until: datetime) -> None:
        """Put on record that the machine was suspended."""
        missed = interrupted(list(self._config.devices()), since, until)
        try:
            for draft in missed:
                self.engine.append([draft])
        except (SiteUnavailableError, EventConflictError) as error:
            self._logger.warning("was_not_watching_not_recorded", since=since.isoformat(), error=type(error).__name__)
            return
        self._logger.warning("was_not_watching", devices=len(missed), see="bonewatch report gap")

    def _database_sink(self) -> SiteSink | None:
        """Make what follows the log into the database; it stops after everything that records."""
        settings = self._config.database
        if not settings.enabled:
            return None
        database = database_of(settings, self._data_dir)
        kept = settings.events_kept_months
        sink = SiteSink(
            self._data_dir / LOG_FILE, self._config.site.id, database, events_kept_months=kept, keys=self._pseudonyms
        )
        self._stack.callback(sink.stop)
        self._stack.callback(self.engine.subscribe(lambda _news: sink.wake()))
        return sink

    def _measurements(self) -> DatabaseMeasurements | None:
        """Return what reads measurements from the database, where there is one; the sink starts an embedded one."""
        settings = self._config.database
        if not settings.enabled:
            return None
        database = database_of(settings, self._data_dir)
        measurements = DatabaseMeasurements(
            lambda: connect_to_running(database), self._config.site.id, self._config.measurements
        )
        self._stack.callback(measurements.close)
        return measurements

    def _forwarder(self) -> "SiteForwarder | None":
        """Make what sends the log to Kafka, where there is one; nothing waits for it."""
        if not self._config.kafka.bootstrap_servers:
            return None
        from bonewatch.fleet import SiteForwarder, broker_from  # noqa: PLC0415 - most sites need no Kafka libraries

        broker = broker_from(self._config.kafka)
        forwarder = SiteForwarder(self._data_dir / LOG_FILE, self._config.site.id, broker)
        self._stack.callback(forwarder.stop)
        self._stack.callback(self.engine.subscribe(lambda _news: forwarder.wake()))
        return forwarder

    def _publisher(self) -> "Publisher | None":
        """Make what tells other programs, where some are configured; nothing waits for them."""
        if not self._config.webhook and not self._config.mllp:
            return None
        from bonewatch.publishing import Publisher  # noqa: PLC0415 - many sites tell nobody

        folder = self._data_dir if self._folder is None else self._folder
        publisher = Publisher(self._config, self._data_dir, self._data_dir / LOG_FILE, folder=folder)
        self._stack.callback(publisher.stop)
        self._stack.callback(self.engine.subscribe(lambda _news: publisher.wake()))
        return publisher

    def _quarantine(self) -> Quarantine:
        """Return where refused objects and pages are kept until they expire."""
        quarantine = Quarantine(self._data_dir)
        self._stack.enter_context(_hourly(lambda: quarantine.expire(self._clock())))
        return quarantine

    def _printed_reports(self, quarantine: Quarantine) -> PrintedReports | None:
        """Return what reads printed reports; patients' pages that were kept expire in any case."""
        patients = patients_pages(self._config, self._data_dir)
        self._stack.enter_context(_hourly(lambda: patients.expire(self._clock())))
        return printed_reports(self._config, self.engine, self._data_dir, quarantine=quarantine, patients=patients)

    def _start_dicom(self, quarantine: Quarantine, reports: PrintedReports | None) -> None:
        policies = {key: policy for key, (policy, _) in self._config.devices().items()}
        archive = Archive(self._data_dir)
        try:
            served = self._stack.enter_context(dicom_services(self._config, self.engine, archive, clock=self._clock))
        except CollectorError as error:
            raise ConfigError(f"[dicom] {error}") from error
        entity = DicomEntity(
            self._config.dicom,
            self.engine,
            policies,
            self._config.site.time_zone,
            archive,
            forwarding=served.outbox,
            services=[*served.services, self._hearing],
            quarantine=quarantine,
            on_store=self._on_store,
            clock=self._clock,
            pages=reports,
            private_values=[self._config.key(device.id) for device in self._config.device if device.private_values],
        )
        self._stack.callback(entity.stop)
        with _listening_on("[dicom]", self._config.dicom.host, self._config.dicom.port):
            entity.start()
        self.dicom_port = entity.port

    def _start_printed(self, reports: PrintedReports | None) -> None:
        """Watch the folder of printed reports, where there is one."""
        if reports is None or not self._config.printed.folder:
            return
        folder = self._data_dir if self._folder is None else self._folder
        watch = report_folder(self._config, reports, folder=folder, clock=self._clock)
        self._stack.callback(watch.stop)
        watch.start()

    def _start_files(self) -> None:
        """Watch the folder of exported files, where there is one; rejected rows that were kept expire in any case."""
        rejects = kept_rejects(self._config, self._data_dir)
        self._stack.enter_context(_hourly(lambda: rejects.expire(self._clock())))
        if not self._config.files.folder:
            return
        folder = self._data_dir if self._folder is None else self._folder
        log = self._stack.enter_context(SqliteEventLog(self._data_dir / LOG_FILE, read_only=True))
        watch = export_folder(
            self._config, self.engine, log, self._data_dir, folder=folder, rejects=rejects, clock=self._clock
        )
        self._stack.callback(watch.stop)
        watch.start()

    def _start_lines(self) -> None:
        """Follow the scales and stadiometers that have a port."""
        folder = self._data_dir if self._folder is None else self._folder
        given = [
            SerialDevice(
                self._config.key(device.id),
                device.port,
                protocol(device.protocol, folder=folder),
                LineSettings(**msgspec.structs.asdict(device.line)) if device.line else None,
                device.serial,
            )
            for device in self._config.device
            if device.port
        ]
        if not given:
            return
        policies = {key: policy for key, (policy, _) in self._config.devices().items()}
        desk = SerialDesk(self.engine, given, policies, clock=self._clock)
        self._stack.callback(desk.stop)
        desk.start()
        self.lines = desk

    def _start_logs(self) -> None:
        """Listen for syslog and follow log files, where devices have logs."""
        if not any(device.log for device in self._config.device):
            return
        folder = self._data_dir if self._folder is None else self._folder
        syslog = self._config.syslog
        try:
            self.fault_logs = FaultLogs(self._config, self.engine, self._data_dir, folder=folder, clock=self._clock)
        except CollectorError as error:
            raise ConfigError(f"[syslog] certificate_file, key_file or client_ca_file: {error}") from error
        self._stack.callback(self.fault_logs.stop)
        with _listening_on("[syslog]", syslog.host, syslog.udp_port or syslog.tcp_port or syslog.tls_port or 0):
            self.fault_logs.start()

    def _start_console(self) -> None:
        http = self._config.http
        settings = HttpSettings(
            site_name=self._config.site.name or self._config.site.id,
            time_zone=self._config.site.time_zone,
            host=http.host,
            port=http.port,
            secure_cookies=http.secure_cookies,
            session_hours=http.session_hours,
            public_status=http.public_status,
            api=self._config.api,
            openid=self._config.openid,
        )
        users = open_users(self._data_dir)
        self._stack.callback(users.close)
        try:
            trail = SqliteTrail(self._data_dir / AUDIT_FILE)
        except AuditError as error:
            raise ConfigError(str(error)) from error
        self._stack.callback(trail.close)
        files = Attachments(self._data_dir)
        self._stack.callback(files.close)
        published = self._stack.enter_context(PublishedLog(self._data_dir / LOG_FILE))
        alerts = self._alerts(users)
        reports = site_reports(self._config, self._data_dir / LOG_FILE)
        app = create_app(
            site=self.engine,
            readings=self.readings,
            users=users,
            settings=settings,
            demo=self._demo,
            clock=self._clock,
            lines=self.lines,
            studies=StudyData(self._data_dir),
            uptime=reports.uptime,
            reports=reports,
            equipment_log=self.readings.equipment_log,
            files=files,
            audit=trail,
            measurements=self._measurements(),
            published=published,
            pseudonyms=self._pseudonyms,
            data_dir=self._data_dir,
            alerts=alerts.desk if alerts else None,
            past=LoggedPast(self._data_dir),
            certificate_files=certificate_files(self._config, self._folder or self._data_dir),
        )
        server = ConsoleServer(app, settings)
        self._stack.callback(server.stop)
        with _listening_on("[http]", http.host, http.port):
            self.url = server.start()
        if alerts is not None:
            self._start_alerts(alerts, reports.uptime)

    def _alerts(self, users: UserStore) -> SiteAlerts | None:
        """Return what is kept of alerts, where they are configured."""
        if self._config.alerts is None:
            return None
        folder = self._data_dir if self._folder is None else self._folder
        alerts = SiteAlerts(self._config, self._data_dir, folder=folder, secret=users.secret(SECRET), clock=self._clock)
        self._stack.callback(alerts.queue.close)
        return alerts

    def _start_alerts(self, alerts: SiteAlerts, uptime: LoggedUptime) -> None:
        """Watch for what people must be told; nothing waits for it."""
        ports = SitePorts(
            self.engine,
            self.readings,
            self.lines,
            uptime,
            self._hearing,
            lambda: is_clock_kept(CLOCK_SETTLING_S),
            self._first_patient(),
        )
        gather = SituationGatherer(ports, alerts.rules, self._config.site.time_zone, alerts.desk.troubles)
        watch = alerts.watch(gather)
        self._stack.callback(watch.stop)
        self._stack.callback(self.engine.subscribe(lambda _news: watch.wake()))
        watch.start()

    def _first_patient(self) -> Callable[[str, datetime], datetime | None]:
        """Return what says when the first patient is booked on a device: the RIS, where it may be asked."""
        upstream = self._config.dicom.upstream
        if upstream is None or self._config.alerts is None or not self._config.alerts.first_patient:
            return lambda _device, _at: None
        policies = {key: policy for key, (policy, _) in self._config.devices().items()}
        zone = ZoneInfo(self._config.site.time_zone)
        bookings = Bookings(UpstreamWorklist(upstream), policies, zone, self._clock)
        self._stack.callback(bookings.stop)
        bookings.start()
        return bookings.first_after

    def stop(self) -> None:
        """Stop listening, commit what is queued, close the log."""
        self._stack.close()


@contextmanager
def _hourly(work: Callable[[], object]) -> Iterator[None]:
    """Do something at once and then every hour, in a thread of its own, for the length of a block."""
    stopped = threading.Event()

    def keep_doing() -> None:
        while True:
            try:
                work()
            except OSError as error:
                structlog.get_logger("bonewatch.site").error("housekeeping_failed", error=type(error).__name__)
            if stopped.wait(3600.0):
                return

    thread = threading.Thread(target=keep_doing, name="housekeeping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(10.0)


@contextmanager
def _listening_on(section: str, host: str, port: int) -> Iterator[None]:
    """Say which address of the configuration cannot be listened on, and why."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or type(error).__name__).partition(" (while ")[0]  # create_server repeats the address
        raise ConfigError(f"{section} {host}:{port} cannot be listened on: {why}; choose another") from error
