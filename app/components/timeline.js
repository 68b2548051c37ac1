// The whole video with the window on it. data: energy, frames, fps, start, span, stills, trace.
// Drag on the picture, click on a peak of the trace (the window then lies around it), use the slider below it (arrow keys move by one frame), or type the first frame.
// While it is dragged the map is asked for anew as soon as the last one is on the page (live), which its player
// tells. The line of a trace grows while it is computed (trace.js). What is being moved stays as it is, and keeps the focus, when the page is drawn again meanwhile.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("#root");
  const line = (root.line ??= make(root));
  line.show(data, (start, live) => setTriggerValue("picked", [start, live]));
  return () => setTimeout(() => root.isConnected || line.end()); // the page is gone
}

function make(root) {
  const box = document.createElement("div");
  box.className = "box";
  box.setAttribute("role", "img");
  const mark = document.createElement("div");
  mark.className = "window";
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, step: 1 });
  slider.setAttribute("aria-label", "First frame of the window");
  const foot = document.createElement("div");
  foot.className = "foot";
  const field = document.createElement("input");
  Object.assign(field, { type: "number", min: 0, step: 1 });
  field.setAttribute("aria-label", "Go to frame");
  const text = document.createElement("span");
  box.title = "Height: how much moves. Drag the window, or use the slider.";
  const [less, more] = ["\u2212", "+"].map((sign) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "zoom", textContent: sign });
    foot.append(button);
    return button;
  });
  less.setAttribute("aria-label", "Show more of the video");
  more.setAttribute("aria-label", "Show less of the video, larger");
  foot.prepend("Frames ", field, text);
  const thumbs = document.createElement("div");
  thumbs.className = "thumbs";
  const port = document.createElement("div"); // through which the box is seen: all of it, or a part
  port.className = "port";
  port.append(box);
  root.replaceChildren(port, slider, foot);
  let zoom = 1, from = 0, moved = false;
  let part = null; // of a trace that is still computed
  let data, tell, drawn, last, start, sent, wait = 0, asked = -Infinity, live = false; // asked: when, of what is not on the page yet

  const at = (event) => {
    const area = box.getBoundingClientRect();
    const share = (event.clientX - area.left) / area.width;
    return clip(share * data.frames - data.span / 2);
  };
  const clip = (frame) => Math.min(last, Math.max(0, Math.round(frame)));
  const release = () => (hold(false), send());
  const hold = (yes) => {
    box.classList.toggle("held", yes);
    document.dispatchEvent(new CustomEvent("c3d-viz-held", { detail: yes })); // the tiles stand still then
  };
  const held = () => wait || box.classList.contains("held");
  box.onpointerdown = (event) => {
    box.setPointerCapture(event.pointerId);
    hold(true);
    [from, moved] = [event.clientX, false];
    move(at(event));
  };
  box.onpointermove = (event) => {
    if (!box.classList.contains("held")) return;
    moved ||= Math.abs(event.clientX - from) > 3;
    move(at(event));
    follow();
    stir();
  };
  box.onpointerup = (event) => {
    const peak = moved ? undefined : peakNear(event);
    if (peak !== undefined) move(clip(peak - data.span / 2));
    release();
  };
  box.onpointercancel = release;
  less.onclick = () => look(zoom / 2);
  more.onclick = () => look(zoom * 2);
  port.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // a page that scrolls goes on scrolling
    event.preventDefault();
    look(event.deltaY < 0 ? zoom * 1.25 : zoom / 1.25);
  }, { passive: false });
  field.onchange = () => (move(clip(+field.value || 0)), follow(), send());
  slider.oninput = () => {
    move(+slider.value);
    follow();
    clearTimeout(wait);
    wait = setTimeout(send, 350);
  };

  const seen = (event) => {
    if (event.detail !== sent) return;
    asked = -Infinity; // what was asked for is on the page
    if (box.classList.contains("held")) stir();
  };
  document.addEventListener("c3d-viz-window", seen);
  const grow = (event) => {
    part = event.detail;
    if (!data || data.trace) return;
    box.querySelector("polyline")?.remove();
    box.querySelector("svg").insertAdjacentHTML("beforeend", line(part, data.frames, data.energy.length));
  };
  document.addEventListener("c3d-viz-trace", grow);

  function show(now, answer) {
    [data, tell] = [now, answer];
    last = Math.max(0, data.frames - data.span);
    const picture = JSON.stringify([data.energy, data.stills, data.frames, data.trace]);
    if (picture !== drawn) {
      drawn = picture;
      box.setAttribute(
        "aria-label",
        `The whole video, ${data.frames} frames, with how much moves at each moment`,
      );
      box.innerHTML = curve(data.energy, data.trace ?? part, data.frames);
      if (data.stills.length) box.prepend(thumbs);
      box.append(mark);
      fill();
    }
    slider.max = field.max = last;
    seen({ detail: data.start });
    slider.disabled = last === 0;
    if (!held()) start = sent = data.start;
    move(Math.min(start, last));
    look(zoom);
  }
  // Shows the box so many times as wide as it fits, at most so that a window fills a third of it.
  function look(times) {
    const most = Math.max(1, data.frames / data.span / 3);
    const anew = Math.min(most, Math.max(1, times));
    less.disabled = anew === 1;
    more.disabled = anew === most;
    if (anew === zoom) return;
    zoom = anew;
    fill();
    box.style.width = `${100 * zoom}%`;
    port.scrollLeft = ((start + data.span / 2) / data.frames) * port.scrollWidth - port.clientWidth / 2;
  }
  // Stills side by side, of each part of the box the nearest one; in a wide part over and over again.
  function fill() {
    const parts = Math.round(Math.min(12 * zoom, Math.max(12, data.stills.length)));
    thumbs.replaceChildren(...Array.from({ length: data.stills.length && parts }, (_, i) => {
      const middle = ((i + 0.5) / parts) * data.frames;
      const away = ([frame]) => Math.abs(frame - middle);
      const part = document.createElement("span");
      part.style.backgroundImage = `url(${data.stills.reduce((a, b) => (away(b) < away(a) ? b : a))[1]})`;
      return part;
    }));
  }
  // Scrolls the window into sight.
  function follow() {
    const [left, right] = [mark.offsetLeft, mark.offsetLeft + mark.offsetWidth];
    if (left < port.scrollLeft) port.scrollLeft = left;
    if (right > port.scrollLeft + port.clientWidth) port.scrollLeft = right - port.clientWidth;
  }
  // The frame of the trace's peak that was clicked on, if it was one.
  function peakNear(event) {
    const { frames = [], values = [] } = data.trace ?? part ?? {};
    const area = box.getBoundingClientRect();
    const away = (frame) => Math.abs(area.left + (frame / data.frames) * area.width - event.clientX);
    const peaks = frames.filter((_, i) => values[i] > 0 && values[i] >= (values[i - 1] ?? 0) && values[i] >= (values[i + 1] ?? 0));
    peaks.sort((a, b) => away(a) - away(b));
    return away(peaks[0]) <= 12 ? peaks[0] : undefined;
  }
  function move(value) {
    start = value;
    mark.style.left = `${(100 * start) / data.frames}%`;
    mark.style.width = `${(100 * Math.min(data.span, data.frames)) / data.frames}%`;
    slider.value = start;
    if (document.activeElement !== field && root.getRootNode().activeElement !== field) field.value = start;
    const end = start + data.span - 1;
    const second = (frame) => `${(frame / data.fps).toFixed(1)} s`;
    text.textContent = `\u2013${end} of ${data.frames} (${second(start)}\u2013${second(end + 1)})`;
    slider.setAttribute("aria-valuetext", `Frames ${start}${text.textContent}`);
  }
  function send() {
    clearTimeout(wait);
    wait = 0;
    if (start === sent && !live) return;
    [sent, live] = [start, false];
    tell(start, false);
  }
  // Asks for the window where it is now, unless the page has not answered the last question yet.
  function stir() {
    if (start === sent || performance.now() - asked < 3000) return;
    [sent, live, asked] = [start, true, performance.now()];
    tell(start, true);
  }
  const end = () => {
    clearTimeout(wait);
    document.removeEventListener("c3d-viz-window", seen);
    document.removeEventListener("c3d-viz-trace", grow);
  };
  return { show, end };
}

function curve(energy, trace, frames) {
  const n = energy.length;
  if (!n) return "<svg></svg>";
  const top = Math.max(...energy, 1e-9);
  const points = energy.map((e, i) => `${i},${(100 - (92 * e) / top).toFixed(2)}`);
  const shape = `M0,100 L${points.join(" L")} L${n - 1},100 Z`;
  return `<svg viewBox="0 0 ${Math.max(1, n - 1)} 100" preserveAspectRatio="none"><path d="${shape}"/>${line(trace, frames, n)}</svg>`;
}

// What the unit answers along the video. trace: {frames, values}: the middle of each window, and the answer.
function line(trace, frames, n) {
  if (!trace) return "";
  const top = Math.max(...trace.values, 1e-9);
  const points = trace.values.map((v, i) => {
    const x = (trace.frames[i] / Math.max(1, frames - 1)) * Math.max(1, n - 1);
    return `${x.toFixed(2)},${(98 - (94 * Math.max(0, v)) / top).toFixed(2)}`;
  });
  return `<polyline points="${points.join(" ")}" vector-effect="non-scaling-stroke"/>`;
}
