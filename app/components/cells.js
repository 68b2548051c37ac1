// An activation map, time step by time step. data: src, grid [T,H,W], at, peak, labels, alt.
// A click chooses a cell; by keyboard the arrows move, + and - change the time step.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("#root");
  const [T, H, W] = data.grid;
  let at = [...data.at];
  let wait = 0;
  const board = document.createElement("div");
  board.className = "board";
  board.tabIndex = 0;
  board.setAttribute("role", "application");
  board.setAttribute("aria-label", `${data.alt} Arrow keys move, plus and minus change the time step.`);
  const slices = document.createElement("div");
  slices.className = "slices";
  const least = T <= 2 ? 150 : T <= 4 ? 110 : T <= 8 ? 84 : 64;
  slices.style.gridTemplateColumns = `repeat(auto-fill, minmax(${least}px, 1fr))`;
  const ring = document.createElement("span");
  ring.className = "ring";
  const dot = document.createElement("span");
  dot.className = "dot";
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
    slice.onclick = (event) => {
      const area = slice.getBoundingClientRect();
      const inside = (share, n) => Math.min(n - 1, Math.max(0, Math.floor(share * n)));
      choose([
        t,
        inside((event.clientY - area.top) / area.height, H),
        inside((event.clientX - area.left) / area.width, W),
      ], 0);
    };
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
    const put = (name, value) => (sign.style[name] = `${100 * value}%`);
    if (centre) {
      put("left", (w + 0.5) / W);
      put("top", (h + 0.5) / H);
    } else {
      put("left", w / W);
      put("top", h / H);
      put("width", 1 / W);
      put("height", 1 / H);
      sign.style.minWidth = sign.style.minHeight = "7px";
    }
    maps[t].append(sign);
  }
  return () => clearTimeout(wait);
}
