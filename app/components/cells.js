// An activation map, time step by time step. data: src, grid [T,H,W], at, peak, labels, alt.
// A click chooses a cell; by keyboard the arrows move, + and - change the time step.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("#root");
  const [T, H, W] = data.grid;
  let at = [...data.at];
  let wait = 0;
  const own = data.grid.map((n) => Array.from({ length: n }, (_, i) => (i + 0.5) / n));
  const light = sign("lit");
  const board = document.createElement("div");
  board.className = "board";
  board.tabIndex = 0;
  board.setAttribute("role", "application");
  board.setAttribute("aria-label", `${data.alt} Arrow keys move, plus and minus change the time step.`);
  const slices = document.createElement("div");
  slices.className = "slices";
  const least = T <= 2 ? 150 : T <= 4 ? 110 : T <= 8 ? 84 : 64;
  slices.style.gridTemplateColumns = `repeat(auto-fill, minmax(${least}px, 1fr))`;
  const ring = sign("ring");
  const dot = sign("dot");
  dot.title = "strongest cell";
  const maps = [];
  for (let t = 0; t < T; t++) {
    const holder = document.createElement("div");
    const slice = document.createElement("div");
    slice.className = "slice";
    const film = document.createElement("span");
    film.className = "film";
    film.style.cssText =
      `aspect-ratio:${W}/${H};background-image:url(${data.src});background-size:${T * 100}% 100%;` +
      `background-position-x:${T > 1 ? (t / (T - 1)) * 100 : 0}%`;
    slice.append(film);
    const at = (event) => under(event, slice, own, [0, 0, 1, 1], own[0][t]);
    slice.onclick = (event) => at(event) && choose(at(event), 0);
    slice.onpointermove = (event) => tell(at(event));
    slice.onpointerleave = () => tell(null);
    const caption = document.createElement("div");
    caption.className = "caption";
    caption.textContent = data.labels[t];
    holder.append(slice, caption);
    slices.append(holder);
    maps.push(slice);
  }
  board.append(slices);
  const focused = root.querySelector(".board:focus");
  root.replaceChildren(board);
  if (focused) board.focus({ preventScroll: true });
  if (H > 1 || W > 1) mark(dot, data.peak, true);
  mark(ring, at, false);

  board.onkeydown = (event) => {
    const step = {
      ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], ArrowLeft: [0, 0, -1], ArrowRight: [0, 0, 1],
      "+": [1, 0, 0], "-": [-1, 0, 0],
    }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(at.map((v, i) => Math.min(data.grid[i] - 1, Math.max(0, v + step[i]))), 300);
  };

  function choose(cell, delay) {
    at = cell;
    mark(ring, at, false);
    clearTimeout(wait);
    wait = setTimeout(() => setTriggerValue("picked", at), delay);
  }
  function mark(sign, [t, h, w], centre) {
    if (centre) {
      sign.style.left = `${(100 * (w + 0.5)) / W}%`;
      sign.style.top = `${(100 * (h + 0.5)) / H}%`;
    } else cover(sign, own, [t, h, w], [0, 0, 1, 1]);
    maps[t].append(sign);
  }
  const deaf = hear((cell) => (cell ? mark(light, cell, false) : light.remove()));
  return () => (deaf(), clearTimeout(wait));
}
