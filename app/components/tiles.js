// A radio group of moving pictures. data: label, items, selected, width, ratio, notes,
// cells, uploader, uploadLabel.
// Where an uploader is named (a selector), the first tile stands for it: a click, a file dropped there, or the
// camera.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("#root");
  const signature = JSON.stringify([data.label, data.items, data.width, data.uploader]);
  if (root.dataset.made !== "" + hash(signature)) {
    root.dataset.made = hash(signature);
    root.camera ??= data.uploader && camera(give); // stays open when the tiles change
    root.replaceChildren(build(), ...(root.camera ? [root.camera.panel] : []));
  }
  const tiles = [...root.querySelectorAll("[role=radio]")];
  const chosen = Math.max(0, tiles.findIndex((tile) => tile.dataset.id === data.selected));
  tiles.forEach((tile, i) => {
    tile.setAttribute("aria-checked", tile.dataset.id === data.selected);
    tile.tabIndex = i === chosen ? 0 : -1;
    tile.onclick = () => pick(tile);
    tile.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      tiles[(i + step + tiles.length) % tiles.length].focus();
    };
  });
  const deaf = data.cells.length ? link() : () => {};
  const held = (event) => root.classList.toggle("still", event.detail);
  document.addEventListener("c3d-viz-held", held);
  return () => (deaf(), document.removeEventListener("c3d-viz-held", held), setTimeout(() => root.isConnected || root.camera?.end?.())); // the page is gone

  // Where a tile shows the whole of what the network gets, the place pointed at is lit on it; where it
  // shows a patch, the tile is, if that place lies in it.
  function link() {
    const lights = data.items.map((item, i) => {
      const tile = tiles[i];
      tile.onpointerenter = () => tell(item.at ?? null);
      tile.onpointerleave = () => tell(null);
      if (item.box) return (cell) => tile.classList.toggle("sees", !!cell && inside(cell, item.box));
      const film = tile.querySelector(".film");
      const light = film.querySelector(".lit") ?? film.appendChild(sign("lit"));
      light.hidden = true;
      return (cell) => ((light.hidden = !cell), cell && cover(light, data.cells, cell, [0, 0, 1, 1]));
    });
    return hear((cell) => lights.forEach((light) => light(cell)));
  }

  function inside([, row, column], [left, top, width, height]) {
    const [y, x] = [data.cells[1][row] - top, data.cells[2][column] - left];
    return x >= 0 && x <= width && y >= 0 && y <= height;
  }

  function pick(tile) {
    tiles.forEach((other) => other.setAttribute("aria-checked", other === tile));
    setTriggerValue("picked", tile.dataset.id);
  }

  function upload() {
    const own = document.createElement("div");
    own.className = "own";
    const tile = button("", () => input()?.click());
    tile.className = "tile upload";
    tile.innerHTML = "<i aria-hidden=true>+</i><b>Your clip</b>";
    tile.setAttribute("aria-label", data.uploadLabel);
    tile.title = data.uploadLabel;
    tile.ondragover = (event) => event.preventDefault();
    tile.ondrop = (event) => (event.preventDefault(), give(...event.dataTransfer.files));
    const film = button("Camera", () => root.camera.open());
    film.className = "tile";
    film.title = "Record two seconds with the camera";
    own.append(tile, film);
    return own;
  }

  function input() {
    return document.querySelector(`${data.uploader} input[type=file]`);
  }

  // Gives a file to the uploader, as if it had been chosen there.
  function give(file) {
    const field = input();
    if (!field || !file) return;
    const held = new DataTransfer();
    held.items.add(file);
    field.files = held.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function build() {
    const grid = document.createElement("div");
    grid.className = "grid";
    grid.setAttribute("role", "radiogroup");
    grid.setAttribute("aria-label", data.label);
    grid.style.gridTemplateColumns = 
      `repeat(auto-fill, minmax(min(${data.width}px, calc(33.3% - 7px)), 1fr))`;
    if (data.uploader) grid.append(upload()); // first: in sight however many clips there are
    for (const item of data.items) {
      const tile = document.createElement("button");
      tile.className = "tile";
      tile.type = "button";
      tile.dataset.id = item.id;
      tile.setAttribute("role", "radio");
      const film = document.createElement("span");
      film.className = "film";
      film.setAttribute("role", "img");
      film.setAttribute("aria-label", item.alt);
      const n = item.frames;
      film.style.cssText =
        `aspect-ratio:${data.ratio};background-image:url("${item.src}");` +
        `background-size:${n * 100}% 100%;--n:${n};--time:${n / 8}s;` +
        `--end:${n > 1 ? (n / (n - 1)) * 100 : 0}%;`;
      const title = document.createElement("b");
      title.textContent = item.title;
      tile.title = `${item.title}: ${item.note}`; // a long name is cut off
      tile.append(film, title);
      if (data.notes) {
        const note = document.createElement("span");
        note.className = "note";
        note.textContent = item.note;
        tile.append(note);
      }
      grid.append(tile);
    }
    return grid;
  }
}

function hash(text) {
  let value = 5381;
  for (let i = 0; i < text.length; i++) value = (value * 33 + text.charCodeAt(i)) | 0;
  return value;
}
