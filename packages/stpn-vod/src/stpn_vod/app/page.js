// Clips on their way to the server, their queue, and the controls around the view.
import { createView, element } from "/view.js";

const at = (id) => document.getElementById(id);
const NOTES = {
  window: "Frames on both sides. Answers come late by half the support.",
  online: "Only frames that came before: what a camera allows.",
  uniform: "Frames spread over the whole clip, which is read once beforehand.",
};
const WORDS = { queued: "waiting", running: "running", done: "done", cancelled: "cancelled", failed: "failed" };
const CHANGES = { "X-Stpn-App": "1" }; // pages of other sites cannot send this header

const files = new Map(); // number of a job -> the file it came from
let info, view, jobs = [], stream = null, problem = "";

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The app does not answer. Is `stpn vod app` still running?");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error || `${answer.status} ${answer.statusText}`);
  }
  return answer;
}

function complain(error) {
  problem = error ? error.message || String(error) : "";
  at("error").textContent = problem;
  at("error").hidden = !problem;
}

// ---- sending clips -------------------------------------------------------------------------

async function submit(file) {
  complain("");
  const form = at("settings");
  if (!form.reportValidity()) return;
  if (file.size > info.max_upload * 1e6) {
    complain(`${file.name} has ${Math.ceil(file.size / 1e6)} MB, the most is ${info.max_upload} MB (--max-upload).`);
    return;
  }
  const fields = new URLSearchParams({ name: file.name, ...Object.fromEntries(new FormData(form)) });
  at("drop").classList.add("over");
  try {
    const answer = await ask(`/api/jobs?${fields}`, { method: "POST", body: file, headers: CHANGES });
    const job = await answer.json();
    files.set(job.number, file);
    jobs.push(job);
    show(job);
  } catch (error) {
    complain(error);
  } finally {
    at("drop").classList.remove("over");
  }
}

function receiveFiles(list) {
  if (!list.length) return;
  if (list.length > 1) complain("One clip at a time, please: the first is taken.");
  submit(list[0]).then(() => { if (list.length > 1 && !problem) complain("One clip at a time: the first was taken."); });
}

// ---- one clip on the screen ------------------------------------------------------------------

function show(job) {
  stream?.close();
  at("empty").hidden = true;
  at("stage").hidden = false;
  at("save-state").textContent = "";
  view.open(job);
  tell(job);
  stream = new EventSource(`/api/jobs/${job.number}/events?after=0`);
  stream.addEventListener("job", (event) => tell(JSON.parse(event.data)));
  stream.addEventListener("frame", (event) => view.add(JSON.parse(event.data)));
  stream.addEventListener("end", () => stream.close());
  list();
}

function tell(job) {
  const known = jobs.findIndex((other) => other.number === job.number);
  if (known >= 0) jobs[known] = job; else jobs.push(job);
  if (view.job?.number === job.number) {
    view.job = job;
    at("clip-name").textContent = job.name;
    at("clip-state").textContent = describe(job);
    const progress = at("progress");
    progress.hidden = job.state !== "running";
    // reading and answering count half each: a policy that looks ahead reads long before it answers
    if (job.total) progress.value = Math.min(1, (job.taken + job.answered) / 2 / job.total);
    else progress.removeAttribute("value");
    at("warning").hidden = !job.problems.length;
    at("warning").textContent = `The clip is ${job.status}: ${job.problems.join("; ")}`;
    if (job.state === "failed") complain(job.error);
    at("again").disabled = !files.has(job.number);
    refresh(view);
  }
  list();
}

function describe(job) {
  if (job.state === "running") {
    const ahead = job.taken - job.answered;
    const of = job.total ? ` of ${job.total}` : "";
    if (!job.taken) return "reading the clip…";
    return `${job.answered}${of} frames` + (ahead > 1 ? `, ${ahead} read ahead for support` : "");
  }
  return `${WORDS[job.state]}${job.answered ? `, ${job.answered} frames` : ""}`;
}

function list() {
  at("no-clips").hidden = jobs.length > 0;
  const rows = [...jobs].reverse().map((job) => {
    const row = element("li", job.state);
    const open = element("button", "open");
    open.type = "button";
    open.setAttribute("aria-current", String(view.job?.number === job.number));
    const name = element("b"), state = element("small");
    name.textContent = job.name;
    state.textContent = describe(job);
    open.append(name, state);
    open.onclick = () => { complain(job.state === "failed" ? job.error : ""); show(job); };
    const end = element("button");
    end.type = "button";
    const going = job.state === "queued" || job.state === "running";
    end.textContent = going ? "Cancel" : "Remove";
    end.setAttribute("aria-label", `${end.textContent} ${job.name}`);
    end.onclick = () => (going ? cancel(job) : remove(job));
    row.append(open, end);
    return row;
  });
  const focused = [...at("clips").querySelectorAll("button")].indexOf(document.activeElement);
  at("clips").replaceChildren(...rows);
  if (focused >= 0) at("clips").querySelectorAll("button")[focused]?.focus();
}

async function cancel(job) {
  await ask(`/api/jobs/${job.number}/cancel`, { method: "POST", headers: CHANGES }).catch(complain);
  await poll();
}

async function remove(job) {
  await ask(`/api/jobs/${job.number}`, { method: "DELETE", headers: CHANGES }).catch(complain);
  files.delete(job.number);
  if (view.job?.number === job.number) {
    stream?.close();
    at("stage").hidden = true;
    at("empty").hidden = false;
    view.open(null);
    complain("");
    at("again").disabled = true;
  }
  await poll();
}

async function poll() {
  jobs = await (await ask("/api/jobs")).json();
  const open = jobs.find((job) => job.number === view.job?.number);
  if (open) tell(open); else list();
}

// ---- controls ----------------------------------------------------------------------------------

function refresh(current) {
  const count = current.records.length;
  const position = at("position");
  position.max = String(Math.max(0, count - 1));
  position.value = String(current.at);
  const record = current.records[current.at];
  at("frame-number").textContent = record ? `${current.at + 1} / ${count} · ${record.time.toFixed(2)} s` : "";
  position.setAttribute("aria-valuetext", at("frame-number").textContent);
  at("play").textContent = current.playing ? "Pause" : "Play";
  at("play").setAttribute("aria-pressed", String(current.playing));
  for (const id of ["play", "back", "forth", "position", "save-video", "save-lines"]) at(id).disabled = !count;
}

async function save(name, button) {
  button.disabled = true;
  at("save-state").textContent = name.endsWith("mp4") ? "Drawing the boxes…" : "";
  try {
    const answer = await ask(`/api/jobs/${view.job.number}/${name}?score=${view.score}`);
    const link = element("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = `${view.job.name.replace(/\.[^.]*$/, "")}.${name}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    at("save-state").textContent = "Saved.";
  } catch (error) {
    at("save-state").textContent = "";
    complain(error);
  } finally {
    button.disabled = false;
  }
}

function setScore(value) {
  at("score").value = String(value);
  at("score-shown").textContent = Number(at("score").value).toFixed(2);
  view.setScore(Number(at("score").value));
}

function keys(event) {
  const typing = event.target.closest?.("input, select, button, textarea, label");
  if (event.ctrlKey || event.metaKey || event.altKey || typing || at("stage").hidden) return;
  const jump = { ArrowLeft: view.at - 1, ArrowRight: view.at + 1, Home: 0, End: Infinity };
  if (event.key === " ") view.play(!view.playing);
  else if (event.key in jump) { view.play(false); view.seek(jump[event.key], event.key === "End"); }
  else if (event.key === "[") setScore(view.score - 0.05);
  else if (event.key === "]") setScore(view.score + 0.05);
  else return;
  event.preventDefault();
}

function connect() {
  const form = at("settings"), drop = at("drop");
  at("file").onchange = () => { receiveFiles([...at("file").files]); at("file").value = ""; };
  for (const name of ["dragenter", "dragover"]) window.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    receiveFiles([...event.dataTransfer.files]);
  });
  form.onsubmit = (event) => { event.preventDefault(); submit(files.get(view.job.number)); };
  form.oninput = () => {
    at("severity-shown").textContent = Number(form.severity.value).toFixed(2);
    at("policy-note").textContent = NOTES[form.policy.value];
    form.stride.disabled = form.policy.value === "uniform";
    form.severity.disabled = form.spoil.disabled = !form.kind.value;
  };
  at("play").onclick = () => view.play(!view.playing);
  at("back").onclick = () => { view.play(false); view.seek(view.at - 1); };
  at("forth").onclick = () => { view.play(false); view.seek(view.at + 1); };
  at("position").oninput = (event) => { view.play(false); view.seek(Number(event.target.value)); };
  at("score").oninput = (event) => setScore(event.target.value);
  at("save-video").onclick = (event) => save("annotated.mp4", event.target);
  at("save-lines").onclick = (event) => save("detections.jsonl", event.target);
  document.addEventListener("keydown", keys);
}

async function start() {
  info = await (await ask("/api/info")).json();
  const form = at("settings");
  for (const kind of info.kinds) form.kind.add(new Option(kind.replace("_", " "), kind));
  form.spoil.options[1].textContent = `${info.burst} of ${2 * info.burst}`;
  for (const name of ["policy", "count", "stride", "short_side", "max_frames"]) form[name].value = info.settings[name];
  const parts = [info.detector, info.encoder, info.head.replace("_", " "), info.predictor ? `${info.predictor} predictor` : "no prompts", `${(info.parameters / 1e6).toFixed(1)} M parameters`, `${info.classes.length} classes`, info.device];
  at("detector").textContent = parts.join(" · ");
  view = createView({ lanes: at("lanes"), history: at("history") }, info.lanes, refresh);
  connect();
  form.oninput();
  setScore(info.settings.score);
  await poll();
  if (jobs.length) show(jobs.at(-1));
  setInterval(() => { if (jobs.some((job) => job.state === "queued" || job.state === "running")) poll().catch(complain); }, 2000);
}

start().catch(complain);
