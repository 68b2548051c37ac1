// The network from left to right. data: blocks, selected.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector("#root");
  const signature = JSON.stringify(data.blocks);
  const anew = root.blocks !== signature; // else it stays, and with it the focus
  if (anew) {
    root.blocks = signature;
    root.replaceChildren(build(data.blocks), hint());
  }
  const scroll = root.firstChild;
  const more = () => {
    const left = scroll.scrollWidth - scroll.clientWidth - scroll.scrollLeft > 8;
    scroll.classList.toggle("more", left);
    root.querySelector(".hint").hidden = !left;
  };
  scroll.onscroll = more;
  if (anew) new ResizeObserver(() => (inSight(scroll), more())).observe(scroll); // also turned round
  const buttons = [...scroll.querySelectorAll(".block")];
  buttons.forEach((button, i) => {
    const chosen = button.dataset.id === data.selected;
    button.setAttribute("aria-checked", chosen);
    button.tabIndex = chosen ? 0 : -1;
    button.onclick = () => {
      buttons.forEach((other) => other.setAttribute("aria-checked", other === button));
      setTriggerValue("picked", button.dataset.id);
    };
    button.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      buttons[(i + step + buttons.length) % buttons.length].focus();
    };
  });
  if (root.selected !== data.selected) inSight(scroll); // else it stays where a person scrolled it
  root.selected = data.selected;
}

// The chosen layer comes into sight, where it is not.
function inSight(scroll) {
  const chosen = scroll.querySelector('[aria-checked="true"]');
  const from = chosen ? chosen.offsetLeft - scroll.scrollLeft : 0;
  if (!chosen || (from >= 0 && from + chosen.offsetWidth <= scroll.clientWidth)) return;
  scroll.scrollLeft = chosen.offsetLeft - scroll.clientWidth / 2 + 40;
}

function build(blocks) {
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  const row = document.createElement("div");
  row.className = "row";
  row.setAttribute("role", "radiogroup");
  row.setAttribute("aria-label", "Layer of the network");
  for (const block of blocks) {
    if (block.kind === "pool") {
      const pool = document.createElement("div");
      pool.className = "pool";
      pool.innerHTML = '<svg width="9" height="30" aria-hidden="true"><path d="M0,0 L9,8 V22 L0,30 Z"/></svg>';
      pool.title = `${block.id}: ${block.shape}, keeps the strongest of neighbouring cells`;
      row.append(pool);
      continue;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "block";
    button.dataset.id = block.id;
    button.setAttribute("role", "radio");
    button.setAttribute("aria-label", `${block.id}, ${block.spoken}`);
    button.title = `${block.shape}: ${block.spoken}`;
    const stage = document.createElement("span");
    stage.className = "stage";
    stage.innerHTML = cuboid(block.size, block.depth);
    const name = document.createElement("b");
    name.textContent = block.id;
    button.append(stage, name, small(block.sees));
    row.append(button);
  }
  scroll.append(row);
  return scroll;
}

// More layers lie to the right of what is seen.
function hint() {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "hint", textContent: "\u203A", tabIndex: -1 });
  button.setAttribute("aria-label", "More layers");
  button.onclick = () => button.previousSibling.scrollBy({ left: 260, behavior: "smooth" });
  return button;
}

function small(text) {
  const made = document.createElement("span");
  made.className = "note";
  made.textContent = text;
  return made;
}

// A box as high as the layer's pictures are large, and as deep as it has feature maps.
function cuboid(size, depth) {
  const h = 6 + 24 * size;
  const w = 4 + 24 * depth;
  const k = 3 + 7 * size;
  return (
    `<svg width="${w + k}" height="${h + k}" aria-hidden="true">` +
    `<path class="lid" d="M0,${k} L${k},0 H${w + k} L${w},${k} Z"/>` +
    `<path class="side" d="M${w},${k} L${w + k},0 V${h} L${w},${h + k} Z"/>` +
    `<rect class="face" y="${k}" width="${w}" height="${h}"/></svg>`
  );
}
