// Keeps a page live: what the site commits makes the page read itself anew. A page that cannot be sure to be live
// says so, because a stale "clear to scan" is dangerous.

const POLL_MS = 20_000; // read anew at least this often, whatever the events say
const GRACE_MS = 4_000; // a connection lost for less is not worth a word

const body = document.body;
const banner = document.getElementById("not-live");
const sign = document.querySelector("[data-live-sign]");
const heartbeatMs = Number(body.dataset.heartbeat) * 1000;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: body.dataset.zone });
const isWall = body.classList.contains("wall");
const clockS = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: body.dataset.zone });

let lastHeard = Date.now(); // an event arrived
let lastRead = Date.now(); // the page's parts were read
let lostSince = null; // since when one of the two fails
let readFailed = false;
let connected = false;
let pending = null;
let runsOut = null;

function readAnew() {
  clearTimeout(pending);
  pending = setTimeout(() => body.dispatchEvent(new CustomEvent("refresh-now")), 120);
}

function connect() {
  const source = new EventSource("/events");
  source.addEventListener("open", () => {
    connected = true;
    heard();
    readAnew();
  });
  source.addEventListener("error", () => {
    connected = false;
    judge();
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5_000);
  });
  for (const name of ["gate", "device", "alerts", "refresh", "heartbeat"]) {
    source.addEventListener(name, (event) => {
      heard();
      const mine = !body.dataset.device || !event.data || event.data === body.dataset.device;
      if (name !== "heartbeat" && mine) readAnew();
    });
  }
  window.addEventListener("pagehide", () => source.close(), { once: true });
}

function heard() {
  connected = true;
  lastHeard = Date.now();
  judge();
}

function judge() {
  const now = Date.now();
  const late = now - lastHeard > heartbeatMs * 2.5 || now - lastRead > POLL_MS * 2;
  if (connected && !late && !readFailed) {
    lostSince = null;
    show(true);
    return;
  }
  lostSince ??= now;
  if (now - lostSince >= GRACE_MS || late) show(false);
}

function show(live) {
  body.dataset.live = live ? "yes" : "lost";
  if (sign) sign.hidden = !live;
  if (live === banner.hidden) return;
  banner.hidden = live;
  const since = clock.format(new Date(Math.min(lastHeard, lastRead)));
  const words = isWall ? `No connection since ${since}. Do not rely on this screen.` : null;
  banner.textContent = live
    ? ""
    : words ?? `Not live since ${since}. What you see may be out of date: do not rely on it. It reconnects by itself; ` +
      "until then check each scanner's own QC record before you scan.";
}

function watchValidity() {
  clearTimeout(runsOut);
  const ends = [...document.querySelectorAll("[data-valid-until]")].map((gate) => Date.parse(gate.dataset.validUntil));
  const next = Math.min(...ends.filter((end) => end > Date.now()));
  if (Number.isFinite(next)) runsOut = setTimeout(readAnew, Math.min(next - Date.now() + 300, 2 ** 31 - 1));
}

document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.sourceElement?.getAttribute("hx-trigger")?.startsWith("refresh-now") !== true) return;
  readFailed = !ctx.response?.raw?.ok;
  if (!readFailed) lastRead = Date.now();
  judge();
});
document.addEventListener("htmx:error", () => {
  readFailed = true;
  judge();
});
document.addEventListener("htmx:after:swap", watchValidity);
document.addEventListener("visibilitychange", () => document.hidden || readAnew());
window.addEventListener("pageshow", (event) => event.persisted && location.reload());

function tick() {
  judge();
  const shown = document.querySelector("[data-clock]");
  if (shown) shown.textContent = clock.format(new Date());
  const lastLive = isWall && body.dataset.live === "yes" && document.querySelector("[data-read-at]");
  if (lastLive) lastLive.textContent = clockS.format(new Date(Math.max(lastHeard, lastRead)));
}

connect();
watchValidity();
setInterval(readAnew, POLL_MS);
setInterval(tick, 1_000);
