"""Style and script of an atlas's page, kept apart from the words."""

from __future__ import annotations

from ...render import PAGE_STYLE

STYLE = (
    PAGE_STYLE
    + """
main { max-width: 110rem; }
nav label { margin-left: auto; color: var(--soft); font-size: .92rem; white-space: nowrap; }
#play { position: sticky; right: 0; box-shadow: 1.25rem 0 var(--card); } /* links scroll under it */
button, select { font: inherit; border-radius: .4rem; border: 1px solid var(--line);
  background: var(--ground); color: var(--ink); padding: .3rem .6rem; white-space: nowrap; }
button { cursor: pointer; }
h2 { font-size: 1.3rem; margin: 2rem 0 .25rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 0 0 .5rem; display: flex; align-items: center; min-height: 1.9rem;
  justify-content: space-between; gap: .5rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; max-width: 60rem; }
.facts, .foot, article footer { color: var(--soft); font-size: .88rem; }
.warning { background: var(--warn-ground); color: var(--warn-ink); padding: .7rem 1rem;
  border-left: 4px solid var(--warn-line); border-radius: .3rem; }
details { margin: .8rem 0; } summary { cursor: pointer; color: var(--link); }
.maps { display: grid; gap: .9rem; margin-top: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(23rem, 100%), 1fr)); align-items: stretch; }
article { background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
  padding: .7rem .8rem; content-visibility: auto; contain-intrinsic-size: auto 18rem; }
article:target { border-color: var(--link); box-shadow: 0 0 0 2px var(--link); }
article footer { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem;
  margin-top: .45rem; font-variant-numeric: tabular-nums; }
article footer b { color: var(--ink); font-weight: 600; }
article h3 button { font-size: .85rem; font-weight: 400; padding: .1rem .6rem; }
/* the video takes three fifths of the width, so a row is as high as that over its tiles */
.windows { display: grid; grid-template-columns: 3fr 2fr; overflow: hidden;
  aspect-ratio: calc(5 * var(--tiles)) / calc(3 * var(--rows)); }
.windows.short { aspect-ratio: calc(5 * var(--tiles)) / calc(3 * var(--short)); }
video { display: block; width: 100%; height: auto; background: #000; border-radius: .3rem;
  aspect-ratio: var(--tiles) / var(--rows); }
ol { list-style: none; margin: 0; padding: 0 0 0 .7rem; display: grid; min-width: 0;
  grid-template-rows: repeat(var(--rows), 1fr); }
li { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; align-self: center;
  font-size: .88rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
li small { color: var(--soft); }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  padding: .6rem .8rem;  border-radius: .4rem; }
.foot { margin-top: 2.5rem; } .foot p { overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  main { padding: 0 .75rem 3rem; } nav { padding: .4rem .75rem; } nav label { font-size: 0; }
  nav select { font-size: .88rem; max-width: 9rem; } h1 { font-size: 1.35rem; }
  article { padding: .6rem; } li { font-size: .8rem; } }
@media print { nav { display: none; } }
"""
)

# Only what is on screen is loaded and plays: a browser has some dozens of decoders, and a page of
# an atlas hundreds of videos.
SCRIPT = """
const button = document.getElementById("play");
let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
const seen = new Set();
const start = video => video.play().catch(() => {});
const say = () => { button.textContent = playing ? "Pause videos" : "Play videos";
  button.setAttribute("aria-pressed", String(playing)); };
const watcher = new IntersectionObserver(entries => entries.forEach(({target, isIntersecting}) => {
  if (isIntersecting) { seen.add(target);
    if (!target.src) { target.preload = "auto"; target.src = target.dataset.src; }
    if (playing) start(target); }
  else if (seen.delete(target)) { target.pause(); target.removeAttribute("src"); target.load(); }
}), {rootMargin: "100px"});
document.querySelectorAll("video").forEach(video => watcher.observe(video));
button.addEventListener("click", () => { playing = !playing; say();
  seen.forEach(video => playing ? start(video) : video.pause()); });
document.querySelectorAll(".more").forEach(more => more.addEventListener("click", () => {
  const windows = document.getElementById(more.getAttribute("aria-controls"));
  const short = windows.classList.toggle("short");
  more.setAttribute("aria-expanded", String(!short));
  more.textContent = short ? `All ${windows.querySelectorAll("li").length}` : "Fewer"; }));
document.getElementById("order").addEventListener("change", event => {
  const by = event.target.value, sign = by === "value" ? -1 : 1;
  document.querySelectorAll(".maps").forEach(maps => maps.append(
    ...[...maps.children].sort((a, b) => sign * (a.dataset[by] - b.dataset[by])))); });
say();
"""
