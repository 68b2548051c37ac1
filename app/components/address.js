// Fills the address in. data: query. Streamlit itself can only add a step to the history.
export default function ({ data }) {
  if (data.query && !location.search) history.replaceState(history.state, "", `?${data.query}`);
}
