// The control chart: BMD with its tolerance band and epochs, below it the CUSUM sums. Verdicts differ in shape and
// colour; the shapes are those of the legend.

const holder = document.getElementById("chart");
const zone = document.body.dataset.zone;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const inZone = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
const DAY_S = 86_400;
const FAMILY = getComputedStyle(document.body).fontFamily;
const FONT = `13px ${FAMILY}`;
const NAMES = {
  pass: "Pass", pass_with_note: "Pass with note", fail: "Fail", fail_confirmed: "Fail, confirmed",
  wrong_phantom: "Wrong phantom", implausible: "Implausible", no_baseline: "No baseline yet",
  clock_suspect: "Scanner clock suspect", too_late: "Too late to count", reanalysis: "Re-analysis", history: "History, not judged",
};
const TONES = {
  pass: "--good", pass_with_note: "--good", fail: "--bad", fail_confirmed: "--bad",
  wrong_phantom: "--warn", implausible: "--warn", clock_suspect: "--warn",
};
const said = inZone({ weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

// Limits that are only proposed, by time of the reading: [time, lower, upper].
const proposed = new Map(JSON.parse(holder?.dataset.proposed ?? "[]").map(([at, ...limits]) => [Date.parse(at), limits]));

let points = [];
let epochs = [];
let plots = [];

async function read() {
  const { device, phantom, since } = holder.dataset;
  const base = `/api/v1/devices/${encodeURIComponent(device)}`;
  const query = new URLSearchParams({ phantom_id: phantom, ...(since && { since }) });
  let readings, baselines;
  try {
    const answers = await Promise.all([fetch(`${base}/qc?${query}`), fetch(`${base}/epochs`)]);
    if (!answers.every((answer) => answer.ok)) return;
    [readings, baselines] = await Promise.all(answers.map((answer) => answer.json()));
  } catch {
    return; // the connection is lost: live.js says so, and the chart is read anew when it is back
  }
  points = readings
    .filter((reading) => reading.bmd_g_cm2 !== null)
    .map((reading) => ({ ...reading, at: Date.parse(reading.measured_at) / 1000 }))
    .sort((a, b) => a.at - b.at);
  points.forEach((point, place) => {
    // a chart does not reset itself: what matters is where an episode of signals began
    point.begins = Boolean(point.statistics?.signal && !points[place - 1]?.statistics?.signal);
  });
  epochs = baselines.filter((epoch) => epoch.phantom_id === phantom);
  holder.querySelector("[data-empty]").hidden = points.length > 0;
  draw();
}

const proposedOf = (point) => proposed.get(Date.parse(point.measured_at));

function bmdColumns() {
  const column = (pick) => points.map((point) => (point.limits ? pick(point.limits) : null));
  return [
    points.map((point) => point.at),
    column((limits) => limits.upper),
    column((limits) => limits.lower),
    column((limits) => limits.target),
    points.map((point) => point.bmd_g_cm2),
    ...(proposed.size ? [1, 0].map((side) => points.map((point) => proposedOf(point)?.[side] ?? null)) : []),
  ];
}

function cusumColumns() {
  const column = (pick) => points.map((point) => (point.statistics ? pick(point.statistics) : null));
  return [
    points.map((point) => point.at),
    column((statistics) => statistics.cusum_h),
    column((statistics) => -statistics.cusum_h),
    column((statistics) => statistics.cusum_upper),
    column((statistics) => -Math.abs(statistics.cusum_lower)),
  ];
}

// Far-out values (a wrong phantom) must not flatten the chart: they are drawn at its edge.
function bmdRange() {
  const judged = points.filter((point) => point.limits);
  if (!judged.length) {
    const values = points.map((point) => point.bmd_g_cm2);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const margin = (high - low || high * 0.02) * 0.15;
    return [low - margin, high + margin];
  }
  const lower = Math.min(...judged.map((point) => Math.min(point.limits.lower, proposedOf(point)?.[0] ?? Infinity)));
  const upper = Math.max(...judged.map((point) => Math.max(point.limits.upper, proposedOf(point)?.[1] ?? -Infinity)));
  const half = (upper - lower) / 2;
  const near = points.map((point) => point.bmd_g_cm2).filter((value) => value > lower - 2.5 * half && value < upper + 2.5 * half);
  return [Math.min(lower, ...near) - half * 0.35, Math.max(upper, ...near) + half * 0.35];
}

function cusumRange() {
  const sums = points.filter((point) => point.statistics).flatMap((point) => {
    const { cusum_upper: upper, cusum_lower: lower, cusum_h: h } = point.statistics;
    return [Math.abs(upper), Math.abs(lower), h];
  });
  const limit = Math.max(1, ...points.map((point) => point.statistics?.cusum_h ?? 0));
  const most = Math.min(Math.max(limit, ...sums) * 1.15, limit * 5); // a long drift must not hide the limits
  return [-most, most];
}

function mark(context, x, y, verdict, size) {
  context.beginPath();
  const cross = (reach) => {
    context.moveTo(x - reach, y - reach);
    context.lineTo(x + reach, y + reach);
    context.moveTo(x - reach, y + reach);
    context.lineTo(x + reach, y - reach);
  };
  if (verdict === "pass") context.arc(x, y, size * 0.8, 0, 7), context.fill();
  else if (verdict === "pass_with_note") {
    context.arc(x, y, size * 1.25, 0, 7), context.stroke();
    context.beginPath(), context.arc(x, y, size * 0.55, 0, 7), context.fill();
  } else if (verdict === "fail") cross(size * 1.3), context.stroke();
  else if (verdict === "fail_confirmed") {
    const half = size * 1.5;
    context.rect(x - half, y - half, 2 * half, 2 * half), context.fill();
    context.save(), (context.strokeStyle = css("--surface")), context.beginPath(), cross(size * 0.75), context.stroke(), context.restore();
  } else if (verdict === "wrong_phantom") {
    const half = size * 1.6;
    context.moveTo(x, y - half), context.lineTo(x + half, y), context.lineTo(x, y + half), context.lineTo(x - half, y);
    context.closePath(), context.stroke();
  } else if (verdict === "implausible" || verdict === "clock_suspect") {
    const half = size * 1.5;
    context.moveTo(x, y - half), context.lineTo(x + half, y + half * 0.85), context.lineTo(x - half, y + half * 0.85);
    context.closePath(), context.stroke();
  } else context.arc(x, y, size, 0, 7), context.stroke();
}

function drawPoints(plot) {
  const { ctx: context, bbox } = plot;
  const ratio = devicePixelRatio;
  const size = (points.length > 260 ? 2.6 : points.length > 120 ? 3.2 : 4) * ratio;
  context.save();
  context.lineWidth = 1.8 * ratio;
  for (const point of points) {
    const x = plot.valToPos(point.at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const y = Math.min(bbox.top + bbox.height - size, Math.max(bbox.top + size, plot.valToPos(point.bmd_g_cm2, "y", true)));
    context.fillStyle = context.strokeStyle = css(TONES[point.verdict] ?? "--ink-2");
    mark(context, x, y, point.verdict, point.verdict.startsWith("fail") ? Math.max(size, 3.6 * ratio) : size);
    if (point.begins) ring(context, x, y, size + 4 * ratio);
  }
  context.restore();
}

function ring(context, x, y, radius) {
  context.save();
  context.strokeStyle = css("--signal");
  context.lineWidth = 1.5 * devicePixelRatio;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.stroke();
  context.restore();
}

function drawSignals(plot) {
  for (const point of points) {
    if (!point.begins) continue;
    const { cusum_upper: upper, cusum_lower: lower } = point.statistics;
    const value = Math.abs(upper) >= Math.abs(lower) ? Math.abs(upper) : -Math.abs(lower);
    const x = plot.valToPos(point.at, "x", true);
    ring(plot.ctx, x, plot.valToPos(value, "y", true), 4.5 * devicePixelRatio);
  }
}

function drawEpochs(plot, named) {
  const { ctx: context, bbox } = plot;
  const ratio = devicePixelRatio;
  context.save();
  context.strokeStyle = context.fillStyle = css("--accent");
  context.lineWidth = 1.5 * ratio;
  context.setLineDash([5 * ratio, 4 * ratio]);
  context.font = `600 ${12 * ratio}px ${FAMILY}`;
  const shown = epochs
    .map((epoch) => ({ name: `Epoch ${epoch.epoch}`, x: plot.valToPos(Date.parse(epoch.accepted_at) / 1000, "x", true) }))
    .filter(({ x }) => x >= bbox.left && x <= bbox.left + bbox.width)
    .sort((a, b) => a.x - b.x);
  for (const { x } of shown) {
    context.beginPath();
    context.moveTo(x, bbox.top);
    context.lineTo(x, bbox.top + bbox.height);
    context.stroke();
  }
  if (named) nameEpochs(context, bbox, shown);
  context.restore();
}

// A name beside its line; where names would run into each other, the later steps down.
function nameEpochs(context, bbox, shown) {
  const ratio = devicePixelRatio;
  const [gap, high] = [6 * ratio, 16 * ratio];
  const ink = context.fillStyle;
  const taken = [];
  for (const { name, x } of shown) {
    const wide = context.measureText(name).width;
    const from = x + gap + wide > bbox.left + bbox.width ? x - gap - wide : x + gap;
    let row = 0;
    while (taken.some((other) => other.row === row && other.from < from + wide + gap && from < other.to + gap)) row += 1;
    taken.push({ row, from, to: from + wide });
    const top = bbox.top + 3 * ratio + row * high;
    context.fillStyle = css("--surface"); // no other epoch's line runs through the name
    context.fillRect(from - ratio, top, wide + 2 * ratio, high - ratio);
    context.fillStyle = ink;
    context.textAlign = "left";
    context.fillText(name, from, top + 11 * ratio);
  }
}

function dates(_, splits) {
  const span = splits.length > 1 ? splits.at(-1) - splits[0] : DAY_S;
  const format = span < 3 * DAY_S
    ? inZone({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" })
    : span < 300 * DAY_S ? inZone({ day: "numeric", month: "short" }) : inZone({ month: "short", year: "2-digit" });
  return splits.map((split) => format.format(new Date(split * 1000)));
}

function axes(digits) {
  const look = { stroke: css("--ink-2"), grid: { stroke: css("--grid"), width: 1 }, ticks: { show: false }, font: FONT };
  return [
    { ...look, values: dates, space: 76 },
    { ...look, size: 62, values: (_, splits) => splits.map((split) => split.toFixed(digits).replace("-", "−")) },
  ];
}

const line = (stroke, more = {}) => ({ stroke, width: 1.5, points: { show: false }, ...more });

function options(kind, width) {
  const bmd = kind === "bmd";
  const limit = { dash: [6, 4], width: 1.2 };
  return {
    width,
    height: bmd ? Math.max(230, Math.min(330, width * 0.5)) : 185,
    tzDate: (stamp) => uPlot.tzDate(new Date(stamp * 1000), zone),
    legend: { show: false },
    cursor: { sync: { key: "qc", scales: ["x", null] }, drag: { x: false, y: false }, points: { size: 10 } },
    scales: { x: { time: true, range: timeRange }, y: { range: bmd ? bmdRange : cusumRange } },
    axes: axes(bmd ? 3 : 0),
    series: bmd
      ? [{}, line(css("--limit"), limit), line(css("--limit"), limit), line(css("--ink-2"), { width: 1 }), line("transparent", { width: 0 }), ...(proposed.size ? [line(css("--up")), line(css("--up"))] : [])]
      : [{}, line(css("--limit"), limit), line(css("--limit"), limit), line(css("--up")), line(css("--down"))],
    bands: bmd ? [{ series: [1, 2], fill: css("--band") }] : [],
    hooks: { draw: [(plot) => drawEpochs(plot, bmd), bmd ? drawPoints : drawSignals], setCursor: [readOut] },
  };
}

function timeRange() {
  const first = points[0].at;
  const last = points.at(-1).at;
  const margin = Math.max((last - first) * 0.02, 6 * 3600);
  return [first - margin, last + margin];
}

function readOut(plot) {
  const point = points[plot.cursor.idx];
  if (!point) return;
  const { statistics } = point;
  const parts = [said.format(new Date(point.at * 1000)), `${point.bmd_g_cm2.toFixed(4)} g/cm²`, NAMES[point.verdict] ?? point.verdict];
  if (statistics) {
    const deviation = statistics.deviation_percent;
    parts.splice(2, 0, `${deviation < 0 ? "−" : "+"}${Math.abs(deviation).toFixed(2)} % from target`);
    parts.push(`CUSUM ${statistics.cusum_upper.toFixed(1)} up, ${Math.abs(statistics.cusum_lower).toFixed(1)} down`);
    if (statistics.signal) parts.push("signal");
    if (statistics.violated.length) parts.push(`rules ${statistics.violated.join(", ")}`);
  }
  holder.querySelector("[data-readout]").textContent = parts.join(" · ");
}

function draw() {
  for (const plot of plots) plot.destroy();
  plots = [];
  if (!points.length) return;
  for (const [kind, columns] of [["bmd", bmdColumns()], ["cusum", cusumColumns()]]) {
    const place = holder.querySelector(`[data-plot="${kind}"]`);
    if (place) plots.push(new uPlot(options(kind, place.clientWidth), columns, place));
  }
  holder.dataset.points = points.length;
}

function resize() {
  for (const plot of plots) {
    const width = plot.root.parentElement.clientWidth;
    if (width !== plot.width) plot.setSize({ width, height: plot.height });
  }
}

if (holder) {
  document.body.addEventListener("refresh-now", read);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(resize).observe(holder);
  read();
}
