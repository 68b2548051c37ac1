// A short silent video that plays round and round. data: src (data address), alt, begin, ratio.
// It plays by itself while it can be seen, until somebody pauses it; where a person asked for less
// motion it waits to be started, at second `begin`. Another video in its place goes on as the last one did.
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector("#root");
  const film = (root.film ??= make(root));
  film.video.setAttribute("aria-label", data.alt);
  film.video.style.aspectRatio = data.ratio;
  if (film.src !== data.src) {
    film.src = data.src;
    film.wait(data.begin);
    const last = film.video.src;
    film.video.src = URL.createObjectURL(blob(data.src)); // Safari plays no data addresses
    if (last) URL.revokeObjectURL(last);
  }
  film.update();
  return () => setTimeout(() => film.video.isConnected || forget(root)); // the page is gone
}

function make(root) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, loop: true, playsInline: true, controls: true });
  video.disablePictureInPicture = true;
  video.setAttribute("controlslist", "noremoteplayback");
  // for the whole visit: Streamlit may put another element in this one's place
  const wish = (globalThis.c3dVizFilm ??= {
    plays: !matchMedia("(prefers-reduced-motion: reduce)").matches,
  });
  let seen = true;
  const shown = () => seen && video.isConnected && !document.hidden;
  const update = () => {
    if (!wish.plays || !shown()) video.pause();
    else if (video.paused) video.play().catch(() => {}); // refused or replaced: controls are there
  };
  video.addEventListener("play", () => (wish.plays = true));
  video.addEventListener("pause", () => {
    if (video.paused && shown()) wish.plays = false; // nobody but a person pauses what is seen
  });
  video.addEventListener("canplay", update);
  const wait = (begin) => {
    video.onloadedmetadata = () => wish.plays || (video.currentTime = begin);
  };
  const observer = new IntersectionObserver((all) => {
    seen = all.at(-1).isIntersecting;
    update();
  });
  const end = new AbortController();
  document.addEventListener("visibilitychange", update, { signal: end.signal });
  observer.observe(video);
  root.replaceChildren(video);
  return { video, update, wait, src: "", end: () => (end.abort(), observer.disconnect()) };
}

function forget(root) {
  root.film?.end();
  if (root.film) URL.revokeObjectURL(root.film.video.src);
  delete root.film;
}

function blob(address) {
  const [head, body] = address.split(",");
  const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5, head.indexOf(";")) });
}
