// Several sprites shown at one and the same frame. data: panels, first, stride, fps, bars, barsLabel,
// strip, width, autoplay, begin, about, fit, leads, follows,
// turns, count, cells, chosen, picks, curves. The frame and whether it plays live here,
// so nothing runs on a server. It begins at `begin`, and again when it shows something else (`about`).
// A player that follows another (by the name it leads under) has no controls and shows its frame.
const led = (globalThis.c3dVizFrames ??= {});

export default function ({ data, parentElement, setTriggerValue }) {
  const N = data.count;
  const linked = data.cells.length > 0;
  const root = parentElement.querySelector("#root");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const state = (root.player ??= {
    frame: data.begin, about: data.about, playing: data.autoplay && !still, timer: 0,
  });
  if (state.about !== data.about) Object.assign(state, { frame: data.begin, about: data.about });
  const label = (i, of = data) => (of.first ?? data.first) + i * (of.stride ?? data.stride);
  const apart = data.panels.some((p) => label(0, p) !== label(0) || label(1, p) !== label(1));

  const panels = element("div", "panels");
  panels.style.setProperty("--columns", data.panels.map((p) => `${p.ratio ?? 1}fr`).join(" "));
  panels.classList.toggle("many", data.panels.length > 3 && !data.fit);
  panels.classList.toggle("square", data.panels.length === 4 && data.fit > 0);
  panels.classList.toggle("three", data.panels.length === 3 && !(data.panels[0].ratio > 1.05));
  panels.style.setProperty("--width", `${data.width}px`);
  panels.classList.toggle("fit", data.fit > 0);
  panels.style.setProperty("--fit", `${data.fit}px`);
  panels.style.setProperty("--ratio", data.panels.length === 4 ? 1 : data.panels.reduce((sum, p) => sum + (p.ratio ?? 1), 0));
  const films = [];
  const last = root.shown?.length === data.panels.length ? root.shown : []; // what is on the screen yet
  root.shown = data.panels.map((panel) => panel.src);
  const boxes = []; // with the frames in which what they show is seen
  const numbers = []; // each panel's own frame, where they are of different windows
  const lights = []; // what lights the cell that is pointed at
  for (const panel of data.panels) {
    const figure = element("figure");
    const film = sprite(panel.src, panel.count ?? N, panel.ratio, last[films.length]);
    film.count = panel.count ?? N;
    if (panel.still) film.style.backgroundSize = "100% 100%";
    figure.classList.toggle("wide", (panel.ratio ?? 1) > 1.05);
    film.setAttribute("role", "img");
    film.setAttribute("aria-label", panel.alt);
    const caption = element("figcaption");
    if (panel.title) caption.append(element("b", "", panel.title), element("span", "note", panel.note));
    const number = element("span", "note number");
    if (apart) caption.append(number);
    numbers.push(number);
    const box = panel.box && frame(panel.box);
    if (box) film.append(box);
    if (box && panel.frames) boxes.push([box, new Set(panel.frames)]);
    if (linked && panel.part) link(film, panel.part);
    figure.append(film, caption);
    panels.append(figure);
    films.push(film);
  }

  const bar = element("div", "bar");
  const play = element("button", "play");
  play.type = "button";
  const slider = element("input");
  Object.assign(slider, { type: "range", min: 0, max: N - 1, step: 1, value: state.frame });
  slider.setAttribute("aria-label", "Frame of the window");
  const where = element("output");
  bar.append(play, slider, where);

  const strip = element("div", "strip");
  strip.style.setProperty("--columns", Math.min(N, 16));
  strip.setAttribute("role", "group");
  strip.setAttribute("aria-label", data.barsLabel || "Frames");
  const cells = [];
  for (let i = 0; data.strip && i < N; i++) {
    const cell = element("button", "cell");
    cell.type = "button";
    cell.tabIndex = -1; // the slider does the same by keyboard
    cell.setAttribute("aria-label", `Show frame ${label(i)}`);
    const film = sprite(data.strip, N);
    place(film, i, N);
    cell.append(film);
    if (data.bars) {
      const level = element("span", "level");
      const value = element("i");
      value.style.height = `${Math.round(100 * data.bars[i])}%`;
      level.title = `${data.barsLabel}: ${data.bars[i].toFixed(2)} of the largest frame`;
      level.append(value);
      cell.append(level);
    }
    cell.append(element("small", "", label(i)));
    cell.onclick = () => (stop(), show(i));
    strip.append(cell);
    cells.push(cell);
  }

  const focused = root.querySelector("input:focus");
  const parts = data.follows ? [panels] : [panels, bar];
  if (cells.length) parts.push(strip);
  if (cells.length && data.bars) parts.push(element("div", "note", data.barsLabel));
  root.replaceChildren(...parts);
  if (focused) slider.focus();

  if (data.follows) {
    const follow = (event) => event.detail === data.follows && showFilms(led[data.follows]);
    showFilms(led[data.follows] ?? data.begin);
    document.addEventListener("c3d-viz-frame", follow);
    const deaf = hear(lit);
    return () => (deaf(), document.removeEventListener("c3d-viz-frame", follow));
  }
  slider.oninput = () => (stop(), show(+slider.value));
  if (data.leads && linked && data.picks) bar.append(aim());
  play.onclick = () => (state.playing ? stop() : start());
  if (state.playing) start();
  else stop();
  show(state.frame);
  if (data.leads) document.dispatchEvent(new CustomEvent("c3d-viz-window", { detail: data.first }));
  const deaf = hear(lit);
  document.addEventListener("click", onCurve);

  // A click on a chart of the same frames shows the one that it was made at.
  function onCurve(event) {
    const [charts, padding] = data.curves;
    const chart = charts ? event.target.closest?.(`${charts} svg`) : null;
    const plot = chart?.querySelector(".background")?.getBoundingClientRect();
    if (!plot) return;
    const place = ((event.clientX - plot.left - padding) / (plot.width - 2 * padding)) * (N - 1);
    if (place < -1 || place > N) return;
    stop();
    show(Math.min(N - 1, Math.max(0, Math.round(place))));
  }
  function link(film, part) {
    const light = sign("lit");
    light.hidden = true;
    film.append(light);
    lights.push((cell) => ((light.hidden = !cell), cell && cover(light, data.cells, cell, part)));
    if (data.chosen.length) {
      const ring = sign("ring");
      cover(ring, data.cells, data.chosen, part);
      film.append(ring);
    }
    const at = (event) => under(event, film, data.cells, part, (film.now + 0.5) / film.count);
    film.onpointermove = (event) => tell(at(event));
    film.onpointerleave = () => tell(null);
    film.classList.toggle("picks", data.picks);
    if (data.picks) film.onclick = (event) => at(event) && setTriggerValue("picked", at(event));
  }
  // By keyboard: arrow keys light a cell of the frame that is shown, Enter sends it back.
  function aim() {
    const button = element("button", "aim", "Cell \u271A");
    button.type = "button";
    button.title = "Choose a cell: arrow keys, then Enter";
    const said = element("span", "sr");
    said.setAttribute("aria-live", "polite");
    button.append(element("span", "sr", ": choose one with the arrow keys, Enter sends it back"), said);
    const last = data.cells.map((middles) => middles.length - 1);
    const cell = data.chosen.length ? [...data.chosen] : last.map((n) => n >> 1);
    const point = (down = 0, across = 0) => {
      cell[0] = nearest(data.cells[0], (state.frame + 0.5) / N);
      [down, across].forEach((by, i) => (cell[i + 1] = Math.min(last[i + 1], Math.max(0, cell[i + 1] + by))));
      tell([...cell]);
      said.textContent = `row ${cell[1] + 1} of ${last[1] + 1}, column ${cell[2] + 1} of ${last[2] + 1}`;
    };
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    button.onkeydown = (event) => {
      if (!steps[event.key]) return;
      event.preventDefault();
      stop();
      point(...steps[event.key]);
    };
    button.onfocus = () => button.matches(":focus-visible") && point();
    button.onblur = () => tell(null);
    button.onclick = (event) => event.detail || setTriggerValue("picked", [...cell]); // not of a mouse
    return button;
  }
  function lit(cell) {
    lights.forEach((light) => light(linked ? cell : null));
  }
  function show(i) {
    state.frame = i;
    slider.value = i;
    const of = apart ? `${i + 1} of the window` : `${label(i)} of the video`;
    slider.setAttribute("aria-valuetext", `frame ${of}`);
    where.textContent = apart ? `Frame ${i + 1}/${N}` : `Frame ${label(i)} · ${i + 1}/${N}`;
    numbers.forEach((number, k) => (number.textContent = `frame ${label(i, data.panels[k])}`));
    showFilms(i);
    cells.forEach((cell, k) => cell.classList.toggle("now", k === i));
    if (!data.leads) return;
    led[data.leads] = i;
    document.dispatchEvent(new CustomEvent("c3d-viz-frame", { detail: data.leads }));
  }
  function showFilms(i) {
    films.forEach((film) => place(film, i, film.count));
    boxes.forEach(([box, frames]) => box.classList.toggle("off", !frames.has(i)));
  }
  function start() {
    clearInterval(state.timer);
    state.playing = true;
    state.timer = setInterval(() => show(next()), 1000 / data.fps);
    mark("\u275A\u275A", "Pause");
  }
  function next() {
    const turns = data.turns ?? [...Array(N).keys()];
    return turns[(turns.indexOf(state.frame) + 1) % turns.length];
  }
  function stop() {
    clearInterval(state.timer);
    state.playing = false;
    mark("\u25B6", "Play");
  }
  function mark(sign, name) {
    play.textContent = sign;
    play.setAttribute("aria-label", name);
    play.title = name;
  }
  return () => {
    deaf();
    clearInterval(state.timer);
    document.removeEventListener("click", onCurve);
  };
}

function element(tag, className = "", text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// `under` stays to be seen until the new picture has been decoded: a window that is dragged must not flicker.
function sprite(src, count, ratio = 1, under = src) {
  const film = element("span", "film");
  film.style.cssText = `aspect-ratio:${ratio};background-image:url(${src});background-size:${count * 100}% 100%`;
  if (under === src) return film;
  film.style.backgroundImage += `,url(${under})`;
  const picture = new Image();
  picture.src = src;
  const done = () => (film.style.backgroundImage = `url(${src})`);
  picture.decode().then(done, done);
  return film;
}

// An outline on a picture. box: left, top, width, height as shares of it.
function frame(box) {
  const outline = element("span", "outline");
  const [left, top, width, height] = box.map((share) => `${100 * share}%`);
  Object.assign(outline.style, { left, top, width, height });
  return outline;
}

function place(film, frame, count) {
  const i = (film.now = Math.min(frame, count - 1)); // of a window with fewer frames the last
  film.style.backgroundPositionX = `${count > 1 ? (i / (count - 1)) * 100 : 0}%`;
}
