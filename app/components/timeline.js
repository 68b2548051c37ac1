// The whole video with the window on it. data: energy, frames, fps, start, span, strip.
// Drag on the picture, or use the slider below it (arrow keys move by one frame).
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("#root");
  const last = Math.max(0, data.frames - data.span);
  let start = data.start;
  let sent = data.start;
  let wait = 0;

  const box = document.createElement("div");
  box.className = "box";
  box.setAttribute("role", "img");
  box.setAttribute(
    "aria-label",
    `The whole video, ${data.frames} frames, with how much moves at each moment`,
  );
  if (data.strip) {
    const thumbs = document.createElement("img");
    thumbs.className = "thumbs";
    thumbs.alt = "";
    thumbs.draggable = false;
    thumbs.src = data.strip;
    box.append(thumbs);
  }
  box.insertAdjacentHTML("beforeend", curve(data.energy));
  const mark = document.createElement("div");
  mark.className = "window";
  box.append(mark);
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: last, step: 1, value: start });
  slider.setAttribute("aria-label", "First frame of the window");
  slider.disabled = last === 0;
  const foot = document.createElement("div");
  foot.className = "foot";
  const text = document.createElement("b");
  const note = document.createElement("span");
  note.className = "note";
  note.textContent = "Height: how much moves. Drag the window, or use the slider.";
  foot.append(text, note);
  root.replaceChildren(box, slider, foot);
  draw();

  const at = (event) => {
    const area = box.getBoundingClientRect();
    const share = (event.clientX - area.left) / area.width;
    return clamp(Math.round(share * data.frames - data.span / 2));
  };
  box.onpointerdown = (event) => {
    box.setPointerCapture(event.pointerId);
    box.classList.add("held");
    move(at(event));
  };
  box.onpointermove = (event) => box.classList.contains("held") && move(at(event));
  box.onpointerup = box.onpointercancel = () => (box.classList.remove("held"), send());
  slider.oninput = () => {
    move(+slider.value);
    clearTimeout(wait);
    wait = setTimeout(send, 350);
  };

  function clamp(value) {
    return Math.min(last, Math.max(0, value));
  }
  function move(value) {
    start = value;
    draw();
  }
  function draw() {
    mark.style.left = `${(100 * start) / data.frames}%`;
    mark.style.width = `${(100 * Math.min(data.span, data.frames)) / data.frames}%`;
    slider.value = start;
    const end = start + data.span - 1;
    const second = (frame) => `${(frame / data.fps).toFixed(1)} s`;
    text.textContent = `Frames ${start}\u2013${end} of ${data.frames} (${second(start)}\u2013${second(end + 1)})`;
    slider.setAttribute("aria-valuetext", text.textContent);
  }
  function send() {
    if (start === sent) return;
    sent = start;
    setTriggerValue("picked", start);
  }
  return () => clearTimeout(wait);
}

function curve(energy) {
  const n = energy.length;
  if (!n) return "<svg></svg>";
  const top = Math.max(...energy, 1e-9);
  const points = energy.map((e, i) => `${i},${(100 - (92 * e) / top).toFixed(2)}`);
  const shape = `M0,100 L${points.join(" L")} L${n - 1},100 Z`;
  return `<svg viewBox="0 0 ${Math.max(1, n - 1)} 100" preserveAspectRatio="none"><path d="${shape}"/></svg>`;
}
