// Pointing at one picture lights the same place in the others. A place is a cell [t, y, x] of the layer,
// or null; `cells` are the middles of its cells along time, height and width, as shares of the window.
const POINTED = "c3d-viz-point";

function tell(cell) {
  document.dispatchEvent(new CustomEvent(POINTED, { detail: cell }));
}

// Calls `show` with every place pointed at; gives back what ends it.
function hear(show) {
  const listen = (event) => show(event.detail);
  document.addEventListener(POINTED, listen);
  return () => document.removeEventListener(POINTED, listen);
}

function nearest(middles, share) {
  let best = 0;
  middles.forEach((middle, i) => {
    if (Math.abs(middle - share) < Math.abs(middles[best] - share)) best = i;
  });
  return best;
}

// The cell under the pointer, in the part [left, top, width, height] of a picture; null beside it.
function under(event, picture, cells, [left, top, width, height], time) {
  const area = picture.getBoundingClientRect();
  const x = ((event.clientX - area.left) / area.width - left) / width;
  const y = ((event.clientY - area.top) / area.height - top) / height;
  if (Math.min(x, y) < 0 || Math.max(x, y) >= 1) return null;
  return [nearest(cells[0], time), nearest(cells[1], y), nearest(cells[2], x)];
}

// Lays a mark over a cell, in the part of a picture that the network gets.
function cover(mark, cells, [, row, column], [left, top, width, height]) {
  const side = (middles) => (middles.length > 1 ? middles[1] - middles[0] : 1);
  const put = (name, value) => (mark.style[name] = `${100 * value}%`);
  const across = side(cells[2]), down = side(cells[1]);
  put("left", left + width * (cells[2][column] - across / 2));
  put("top", top + height * (cells[1][row] - down / 2));
  put("width", width * across);
  put("height", height * down);
}

function sign(name) {
  const mark = document.createElement("span");
  mark.className = name;
  return mark;
}
