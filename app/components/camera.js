// Records two seconds with the camera. The panel lies hidden in the page; `open` shows it, `end` lets the
// camera go. `give` gets the file.
const SECONDS = 2;
const LEAST = 28; // frames, as a network looks at 16 and a slow machine drops some
const MOST = 10; // seconds: in the dark a camera is slow
const KINDS = ["video/webm;codecs=vp8", "video/webm", "video/mp4"];
const WORDS = {
  NotAllowedError: "The camera is not allowed for this page. Allow it in the browser's address bar, then try again.",
  NotFoundError: "There is no camera here. Connect one and try again, or upload a clip.",
  NotReadableError: "Another program uses the camera. Close that one, then try again.",
};

function camera(give) {
  const panel = document.createElement("div");
  panel.className = "camera";
  panel.hidden = true;
  panel.setAttribute("role", "group");
  panel.setAttribute("aria-label", "Camera");
  const video = document.createElement("video");
  Object.assign(video, { muted: true, autoplay: true, playsInline: true });
  video.setAttribute("aria-label", "What the camera sees");
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  const record = button("Record two seconds", take);
  const close = button("Close", end);
  panel.append(video, said, record, close);
  let stream;

  async function open() {
    panel.hidden = false;
    show("Waiting for the camera …", false);
    if (!navigator.mediaDevices?.getUserMedia || !globalThis.MediaRecorder) {
      return show("Browsers give the camera only to pages from this machine (http://localhost) or under https. Upload a clip instead.", false);
    }
    try {
      const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
      const got = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      if (panel.hidden) return got.getTracks().forEach((track) => track.stop()); // closed meanwhile
      end(false);
      video.srcObject = stream = got;
      show("Nothing leaves this machine before you record, and then only to the dashboard.", true);
      record.focus();
    } catch (error) {
      show(WORDS[error.name] ?? `The camera does not start (${error.name}). Upload a clip instead.`, false);
    }
  }
  function take() {
    const kind = KINDS.find((each) => MediaRecorder.isTypeSupported(each));
    const recorder = new MediaRecorder(stream, { mimeType: kind });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
      if (!stream) return; // closed meanwhile
      const suffix = kind.includes("mp4") ? "mp4" : "webm";
      const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
      end();
      give(new File(parts, `camera ${time}.${suffix}`, { type: kind.split(";")[0] }));
    };
    recorder.start();
    show("Recording …", true);
    record.disabled = true;
    const began = performance.now();
    let frames = 0;
    const count = () => {
      const seconds = (performance.now() - began) / 1000;
      if (recorder.state !== "recording") return; // closed meanwhile
      if ((seconds >= SECONDS && frames >= LEAST) || seconds >= MOST) return recorder.stop();
      frames += 1;
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(count);
      else setTimeout(count, 40); // older browsers
    };
    count();
  }
  function show(text, on) {
    said.textContent = text;
    video.hidden = record.hidden = !on;
    record.disabled = false;
  }
  function end(hide = true) {
    stream?.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = null;
    if (hide) panel.hidden = true;
  }
  return { panel, open, end };
}

function button(text, act) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: text });
  made.onclick = () => act();
  return made;
}
