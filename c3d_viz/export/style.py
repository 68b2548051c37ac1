"""Style and script of the export's page, kept apart from the words."""

from __future__ import annotations

from ..render import PAGE_STYLE

STYLE = (
    PAGE_STYLE
    + """
button { margin-left: auto; position: sticky; right: 0; font: inherit; padding: .3rem .8rem;
  border-radius: .4rem; border: 1px solid var(--line); background: var(--ground); color: var(--ink);
  white-space: nowrap; cursor: pointer; }
h2 { font-size: 1.3rem; margin: 2rem 0 .75rem; }
h3 { font-size: 1.2rem; margin: 0 0 .1rem; }
h4 { font-size: 1rem; margin: 1rem 0 .5rem; color: var(--soft); }
p { margin: .4rem 0; }
.facts, .files, figcaption, footer, dd small, caption { color: var(--soft); font-size: .92rem; }
.warning { background: var(--warn-ground); color: var(--warn-ink); padding: .7rem 1rem;
  border-left: 4px solid var(--warn-line); border-radius: .3rem; max-width: 60rem; }
.given { display: flex; flex-wrap: wrap; gap: 1.25rem; align-items: flex-start; }
.given video { width: 15rem; height: auto; }
.layer { background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
  padding: 1.1rem 1.25rem; margin: 1.25rem 0; }
.units { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
figure { margin: 0; max-width: 27rem; }
video, img { display: block; max-width: 100%; border-radius: .3rem; background: #000; }
figure video { width: 100%; height: auto; aspect-ratio: 1; }
img { height: auto; background: none; margin-top: .6rem; }
figcaption { margin-top: .35rem; } figcaption strong { color: var(--ink); }
details { margin: .8rem 0; } summary { cursor: pointer; color: var(--link); }
dl { max-width: 60rem; } dt { font-weight: 600; } dd { margin: 0 0 .5rem; }
table { border-collapse: collapse; } caption { text-align: left; }
td { padding: .1rem 1rem .1rem 0; } 
.num { text-align: right; font-variant-numeric: tabular-nums; }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  padding: .6rem .8rem;  border-radius: .4rem; }
footer { margin-top: 2.5rem; } footer p { overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  main { padding: 0 .75rem 3rem; } nav { padding: .4rem .75rem; } .layer { padding: .9rem; }
  h1 { font-size: 1.35rem; } }
@media print { nav { display: none; } }
"""
)

# Only videos on screen play: a page of a hundred would keep a laptop busy otherwise.
SCRIPT = """
const button = document.getElementById("play");
let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
const seen = new Set();
const start = video => video.play().catch(() => {});
const show = () => { button.textContent = playing ? "Pause videos" : "Play videos";
  button.setAttribute("aria-pressed", String(playing)); };
const watcher = new IntersectionObserver(entries => entries.forEach(entry => {
  if (entry.isIntersecting) { seen.add(entry.target); if (playing) start(entry.target); }
  else { seen.delete(entry.target); entry.target.pause(); } }));
document.querySelectorAll("video").forEach(video => {
  video.playbackRate = video.defaultPlaybackRate = 0.5; watcher.observe(video); });
button.addEventListener("click", () => { playing = !playing; show();
  seen.forEach(video => playing ? start(video) : video.pause()); });
show();
"""
