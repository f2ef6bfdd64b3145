"use strict";
// Draws what moves: the mesh, the facts of a core, bars by window. All of it is read from the JSON above; each number
// carries the path of its value there, as those do that the page came with.
const data = JSON.parse(document.getElementById("data").textContent);
const hues = JSON.parse(document.getElementById("hues").textContent);
const { chip, cores, links, pipeline, windows } = data;
const byTile = new Map(cores.map((core, number) => [`${core.y},${core.x}`, number]));
const SIDE = 70, GAP = 30, PITCH = SIDE + GAP, EDGE = 26, LABELLED = 8;
const STEP = { n: [1, 0], e: [0, 1], s: [-1, 0], w: [0, -1] };
const NAMES = { n: "north", e: "east", s: "south", w: "west" };
const SVG = "http://www.w3.org/2000/svg";
let chosen = 0, shown = null; // a core's number, or null for the host's tile; a window's, or null for the whole run

function value(path) {
  const [place, layer] = path.split("@");
  const [list, inside] = place.split(".*.");
  const step = (at, key) => at[key];
  if (inside !== undefined) return value(list).reduce((sum, entry) => sum + inside.split(".").reduce(step, entry), 0);
  const found = place.split(".").reduce(step, data);
  return layer === undefined ? found : found.reduce((sum, n, core) => sum + (layer === "*" || cores[core].layer === layer ? n : 0), 0);
}

const plain = (n) => (n === null ? "–" : typeof n === "number" ? n.toLocaleString("en-US") : n);

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "text", "line", "path", "title"].includes(tag);
  const element = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, text] of Object.entries(attributes)) element.setAttribute(name, text);
  element.append(...children);
  return element;
}

const show = (path, tag = "span") => make(tag, { "data-path": path, "data-form": "," }, plain(value(path)));

function put(element, path) {
  element.dataset.path = path;
  element.dataset.form = ",";
  element.textContent = plain(value(path));
}

// ---- paths of what is shown, in a window or in the whole run --------------------------------------------------------

const COUNTERS = { sops: "SOPS", spikes_in: "SPIKES_IN", spikes_out: "SPIKES_OUT", hops: "HOPS" };
const counted = (core, name) => (shown === null ? `cores.${core}.counters.${COUNTERS[name]}` : `windows.${shown}.${name}.${core}`);
const passed = (link) => (shown === null ? `links.${link}.flits` : `windows.${shown}.flits.${link}`);
const most = (of) => Math.max(1, ...(shown === null ? of(null) : windows.flatMap((_, window) => of(window))));
const rowOf = (layer) => pipeline.findIndex((row) => row.layer === layer && row.does !== "read out");
const works = (layer) => shown === null || windows[shown].work[rowOf(layer)] !== null;

// ---- the mesh -------------------------------------------------------------------------------------------------------

const left = (x) => EDGE + x * PITCH;
const top_ = (y) => (chip.rows - 1 - y) * PITCH + GAP / 2;
const tiles = new Map(); // number of the core (null: the host) -> what is drawn of it

function drawTile(y, x) {
  const number = byTile.get(`${y},${x}`) ?? null;
  const layer = number === null ? null : cores[number].layer;
  const group = make("g", {
    class: `tile${layer === null ? " free" : ""}${number === null ? " isHost" : ""}`, role: "button", tabindex: -1,
    transform: `translate(${left(x)} ${top_(y)})`,
  });
  if (layer !== null) group.style.setProperty("--h", hues[layer]);
  const square = { width: SIDE, height: SIDE, rx: 8 };
  const level = make("rect", { class: "level", ...square });
  group.append(make("rect", { class: "base", ...square }), level, make("rect", { class: "frame", ...square }));
  const label = make("text", { x: SIDE / 2, y: layer === null ? 40 : 31, class: "name" });
  const count = make("text", { x: SIDE / 2, y: 51 });
  if (chip.cols <= LABELLED) {
    label.textContent = number === null ? "host" : layer === null ? "free" : layer.length > 8 ? `${layer.slice(0, 7)}…` : layer;
    group.append(label);
    if (layer !== null) group.append(count);
  }
  const place = { number, y, x, group, level, count };
  tiles.set(number, place);
  group.addEventListener("pointerenter", () => choose(number));
  group.addEventListener("click", () => choose(number));
  group.addEventListener("focus", () => choose(number));
  group.addEventListener("keydown", (event) => {
    const step = { ArrowUp: "n", ArrowRight: "e", ArrowDown: "s", ArrowLeft: "w" }[event.key];
    if (step === undefined) return;
    const [down, right] = STEP[step];
    const next = [y + down, x + right];
    if (next[0] < 0 || next[1] < 0 || next[0] >= chip.rows || next[1] >= chip.cols) return;
    event.preventDefault();
    tiles.get(byTile.get(next.join(",")) ?? null).group.focus();
  });
  return group;
}

const arrows = links.map(() => ({ line: make("line", { class: "link" }), head: make("path", { class: "head" }) }));

function drawMesh() {
  const width = EDGE + chip.cols * PITCH, height = chip.rows * PITCH + EDGE;
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "The mesh: x to the right, y upwards" });
  for (const { line, head } of arrows) svg.append(line, head);
  for (let y = chip.rows - 1; y >= 0; y--) for (let x = 0; x < chip.cols; x++) svg.append(drawTile(y, x));
  if (chip.cols <= LABELLED) {
    for (let y = 0; y < chip.rows; y++) svg.append(make("text", { class: "axis", x: 12, y: top_(y) + SIDE / 2 + 4 }, `y ${y}`));
    for (let x = 0; x < chip.cols; x++) svg.append(make("text", { class: "axis", x: left(x) + SIDE / 2, y: height - 10 }, `x ${x}`));
  }
  document.getElementById("mesh").append(svg);
}

function updateLinks() {
  const widest = most((window) => links.map((link, n) => (window === null ? link.flits : windows[window].flits[n])));
  links.forEach((link, number) => {
    const flits = value(passed(number)), { line, head } = arrows[number];
    const [down, right] = STEP[link.direction], half = SIDE / 2, side = 10; // both directions of a pair side by side
    const x = left(link.x) + half + right * half - down * side, y = top_(link.y) + half - down * half - right * side;
    const wide = 1.5 + 7 * (flits / widest), tip = GAP - 3, base = tip - 6 - wide / 2;
    const at = (along, across) => `${x + right * along + down * across} ${y - down * along + right * across}`;
    const [endX, endY] = at(flits ? base : tip, 0).split(" ");
    for (const [name, number] of Object.entries({ x1: x, y1: y, x2: endX, y2: endY })) line.setAttribute(name, number);
    line.style.strokeWidth = flits ? wide : "";
    line.setAttribute("class", flits ? "link" : "still");
    const out = wide / 2 + 3;
    head.setAttribute("d", flits ? `M${at(base, -out)} L${at(tip, 0)} L${at(base, out)} Z` : "");
  });
}

function updateTiles() {
  const busiest = most((window) => cores.map((core, n) => (window === null ? core.counters.SOPS : windows[window].sops[n])));
  for (const { number, y, x, group, level, count } of tiles.values()) {
    const layer = number === null ? null : cores[number].layer;
    const sops = number === null ? 0 : value(counted(number, "sops"));
    level.style.clipPath = `inset(${100 - (100 * sops) / busiest}% 0 0 0)`;
    if (layer !== null) put(count, counted(number, "sops"));
    count.classList.toggle("long", count.textContent.length > 8);
    group.classList.toggle("idle", layer !== null && !works(layer));
    group.classList.toggle("chosen", number === chosen);
    group.setAttribute("tabindex", number === chosen ? 0 : -1);
    group.setAttribute("aria-pressed", number === chosen);
    const what = number === null ? "host" : layer === null ? "free" : `${layer}, ${plain(sops)} SOPs`;
    group.setAttribute("aria-label", `Tile y ${y}, x ${x}: ${what}`);
  }
}

// ---- a core's facts -------------------------------------------------------------------------------------------------

const range = (start, size) => (size > 1 ? `${start}–${start + size - 1}` : `${start}`);

function list(rows) {
  const found = make("dl");
  for (const [name, ...parts] of rows) found.append(make("dt", {}, name), make("dd", {}, ...parts));
  return found;
}

function updateFacts() {
  const core = cores[chosen], { y, x } = tiles.get(chosen);
  const title = chosen === null ? "Host" : core.layer ?? "Free tile";
  const parts = [make("h3", {}, `${title} `, make("small", {}, `tile y ${y}, x ${x}`))];
  const near = links.map((link, number) => ({ ...link, number })).filter((link) => link.y === y && link.x === x);
  const into = links.map((link, number) => ({ ...link, number })).filter(({ direction, ...from }) =>
    from.y + STEP[direction][0] === y && from.x + STEP[direction][1] === x);
  const when = shown === null ? "whole run" : `window ${shown}`;
  if (chosen === null) parts.push(make("p", {}, "The host port: samples come in here, results leave."));
  else if (core.layer === null) parts.push(make("p", {}, "Only its router works."));
  else {
    const { region } = core, row = rowOf(core.layer);
    parts.push(make("p", {}, `rows ${range(region.y0, region.height)}, columns ${range(region.x0, region.width)}, channels ` +
      `${range(region.channel0, region.channels)}${core.part ? `; part ${core.part} of the fan-in` : ""}`));
    parts.push(make("h4", {}, `In the ${when}`.replace("the window", "window")));
    parts.push(list([
      ...(shown === null || row < 0 ? [] : [[`sample it ${pipeline[row].does}`, show(`windows.${shown}.work.${row}`)]]),
      ["SOPs", show(counted(chosen, "sops"))], ["spikes in", show(counted(chosen, "spikes_in"))],
      ["spikes out", show(counted(chosen, "spikes_out"))],
    ]));
  }
  if (near.length + into.length) {
    parts.push(make("h4", {}, `Spike bundles, ${when}`));
    parts.push(list([
      ...near.map((link) => [`to the ${NAMES[link.direction]}`, show(passed(link.number))]),
      ...into.map((link) => [`from tile y ${link.y}, x ${link.x}`, show(passed(link.number))]),
    ]));
  }
  if (chosen !== null && core.layer !== null) {
    parts.push(make("h4", {}, "Cycles, whole run"));
    parts.push(list([["accumulator busy", show(`cores.${chosen}.counters.BUSY`)],
      ["emission stalled", show(`cores.${chosen}.counters.STALLED`)], ["all", show("cycles")]]));
    parts.push(make("h4", {}, "Memory, words"));
    parts.push(list(Object.keys(core.memory).map((name) =>
      [name, show(`cores.${chosen}.memory.${name}.used`), " / ", show(`cores.${chosen}.memory.${name}.depth`)])));
  }
  document.getElementById("facts").replaceChildren(...parts);
}

function choose(number) {
  if (number === chosen) return;
  chosen = number;
  updateTiles();
  updateFacts();
}

// ---- windows --------------------------------------------------------------------------------------------------------

const slider = document.getElementById("window"), whole = document.getElementById("whole"), play = document.getElementById("play");
let timer = null;

function drawBars() {
  const high = Math.max(1, ...windows.map((window) => window.sops.reduce((sum, n) => sum + n, 0)));
  const svg = make("svg", { viewBox: `0 0 ${windows.length * 10} 100`, preserveAspectRatio: "none", role: "img",
    "aria-label": "Synaptic operations by window and layer, as in the table below" });
  windows.forEach((window, number) => {
    let y = 100;
    const all = window.sops.reduce((sum, n) => sum + n, 0);
    for (const { layer } of data.layers) {
      const part = (98 * value(`windows.${number}.sops@${layer}`)) / high;
      y -= part;
      const bar = make("rect", { x: number * 10 + 1.2, y, width: 7.6, height: part });
      bar.style.setProperty("--h", hues[layer]);
      svg.append(bar);
    }
    const slot = make("rect", { class: "slot", x: number * 10, y: 0, width: 10, height: 100, "data-window": number },
      make("title", {}, `window ${number}: ${plain(all)} SOPs`));
    svg.append(slot);
  });
  document.getElementById("bars").append(svg);
}

function go(window) {
  shown = window;
  if (window !== null) slider.value = window;
  const text = window === null ? "Whole run" : `Window ${window}`;
  document.getElementById("when").textContent = text;
  put(document.getElementById("total"), window === null ? "cores.*.counters.SOPS" : `windows.${window}.sops@*`);
  document.getElementById("shown").textContent = text;
  slider.setAttribute("aria-valuetext", text);
  whole.setAttribute("aria-pressed", window === null);
  for (const element of document.querySelectorAll("[data-window]")) {
    element.classList.toggle("now", window !== null && element.dataset.window === String(window));
  }
  updateLinks();
  updateTiles();
  updateFacts();
}

function stop() {
  clearInterval(timer);
  timer = null;
  play.textContent = "Play";
  play.setAttribute("aria-pressed", false);
}

const turn = (by) => go(shown === null ? (by > 0 ? 0 : windows.length - 1) : (shown + by + windows.length) % windows.length);
const onPress = (id, action) => document.getElementById(id).addEventListener("click", () => { stop(); action(); });
onPress("whole", () => go(null));
onPress("back", () => turn(-1));
onPress("next", () => turn(1));
play.addEventListener("click", () => {
  if (timer !== null) return stop();
  turn(1);
  timer = setInterval(() => turn(1), 900);
  play.textContent = "Pause";
  play.setAttribute("aria-pressed", true);
});
slider.addEventListener("input", () => { stop(); go(Number(slider.value)); });
document.addEventListener("click", (event) => {
  const place = event.target.closest("[data-window]");
  if (place !== null) { stop(); go(Number(place.dataset.window)); }
});
for (const choice of document.querySelectorAll("input[name=theme]")) {
  choice.addEventListener("change", () => { document.documentElement.dataset.theme = choice.value; });
}

chosen = cores.reduce((best, core, number) => (core.counters.SOPS > cores[best].counters.SOPS ? number : best), 0);
drawMesh();
drawBars();
go(null);
