// Tells the timeline how far its line is. data: trace (frames, values) or null.
export default function ({ data }) {
  const tell = (detail) => document.dispatchEvent(new CustomEvent("c3d-viz-trace", { detail }));
  tell(data.trace);
  return () => tell(null);
}
