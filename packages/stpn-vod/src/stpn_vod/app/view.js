// One clip on the screen: its lanes, its place in time, the history of scores.
// A record is what the server sends for a frame: {frame, time, size: [w, h], spoiled,
// lanes: [{prompted, objects: [{label, score, box: [x1, y1, x2, y2]}]}]}.

const LANE_COLOURS = ["#00a0b8", "#9a9a9a", "#e0566b"];
const PICTURES_KEPT = 300;

export function createView(elements, lanes, changed) {
  const view = {
    job: null, records: [], at: 0, score: 0.5, playing: false, following: true, pictures: new Map(),
  };
  const panels = lanes.map((lane, i) => createPanel(lane, LANE_COLOURS[i % 3]));
  elements.lanes.replaceChildren(...panels.map((panel) => panel.figure));

  view.open = (job) => {
    Object.assign(view, { job, records: [], at: 0, following: true, pictures: new Map() });
    view.play(false);
    draw();
  };
  view.add = (record) => {
    view.records[record.frame] = record;
    if (view.following && !view.playing) view.at = view.records.length - 1;
    schedule();
  };
  view.setScore = (score) => { view.score = score; schedule(); };
  view.seek = (at, following = false) => {
    view.at = Math.max(0, Math.min(view.records.length - 1, at));
    view.following = following;
    schedule();
  };
  view.play = (on) => {
    view.playing = on && view.records.length > 0;
    if (view.playing) {
      view.following = false;
      if (view.at >= view.records.length - 1) view.at = 0;
      let shown = performance.now();
      const step = (now) => {
        if (!view.playing) return;
        const next = view.records[view.at + 1];
        if (!next) { view.playing = false; schedule(); return; }
        const pause = Math.min(1, Math.max(0.005, next.time - view.records[view.at].time)) * 1000;
        const ready = picture(view.at + 1).complete;
        for (let ahead = 2; ahead < 12; ahead++) if (view.records[view.at + ahead]) picture(view.at + ahead);
        if (now - shown >= pause && ready) {
          shown = now;
          view.at += 1;
          draw();
        }
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    }
    schedule();
  };

  let scheduled = false;
  function schedule() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => { scheduled = false; draw(); });
  }

  function picture(frame) {
    let image = view.pictures.get(frame);
    if (!image) {
      image = new Image();
      image.onload = schedule;
      image.src = `/api/jobs/${view.job.number}/frames/${frame}.jpg`;
      view.pictures.set(frame, image);
      if (view.pictures.size > PICTURES_KEPT) view.pictures.delete(view.pictures.keys().next().value);
    }
    return image;
  }

  function draw() {
    const record = view.records[view.at];
    panels.forEach((panel, i) => panel.draw(record, i, record && picture(record.frame), view.score));
    drawHistory();
    changed(view);
  }

  function drawHistory() {
    const canvas = elements.history;
    const { context, width, height } = fitted(canvas, canvas.clientHeight);
    const total = Math.max(view.records.length, view.job?.total || 0, 1);
    const step = width / total;
    context.fillStyle = getComputedStyle(canvas).color;
    context.globalAlpha = 0.12;
    for (const record of view.records) if (record?.spoiled) context.fillRect(record.frame * step, 0, Math.max(step, 1), height);
    context.globalAlpha = 0.35;
    const limit = height - 4 - view.score * (height - 8);
    context.fillRect(0, limit, width, 1);
    context.globalAlpha = 1;
    for (let i = panels.length - 1; i >= 0; i--) { // the first lane lies on top
      context.strokeStyle = panels[i].colour;
      context.lineWidth = 2;
      context.beginPath();
      view.records.forEach((record, t) => {
        const best = record.lanes[i].objects[0]?.score ?? 0;
        const x = (t + 0.5) * step, y = height - 4 - best * (height - 8);
        if (t) context.lineTo(x, y); else context.moveTo(x, y);
      });
      context.stroke();
    }
    context.fillStyle = getComputedStyle(canvas).color;
    if (view.records.length) context.fillRect((view.at + 0.5) * step - 1, 0, 2, height);
  }

  elements.history.addEventListener("pointerdown", (event) => {
    const box = elements.history.getBoundingClientRect();
    const total = Math.max(view.records.length, view.job?.total || 0, 1);
    view.play(false);
    view.seek(Math.floor(((event.clientX - box.left) / box.width) * total));
  });
  new ResizeObserver(schedule).observe(elements.lanes);
  return view;
}

function createPanel(lane, colour) {
  const figure = element("figure", "lane");
  const caption = element("figcaption");
  const dot = element("span", "dot");
  dot.style.background = colour;
  const title = element("b");
  title.textContent = lane.title;
  const count = element("span", "count");
  const badge = element("span", "badge");
  caption.append(dot, title, count, badge);
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  figure.append(caption, canvas);

  function draw(record, i, image, score) {
    const [w, h] = record ? record.size : [16, 9];
    const { context, width, height } = fitted(canvas, (canvas.clientWidth * h) / w);
    badge.hidden = true;
    count.textContent = "";
    if (!record) return;
    if (image.complete && image.naturalWidth) context.drawImage(image, 0, 0, width, height);
    const own = record.lanes[i];
    const shown = own.objects.filter((thing) => thing.score > score);
    const scale = width / w;
    const font = Math.max(11, Math.min(15, width / 34));
    context.font = `600 ${font}px system-ui, "DejaVu Sans", sans-serif`;
    context.textBaseline = "top";
    context.lineWidth = Math.max(2, width / 260);
    for (const thing of [...shown].reverse()) {
      const [x1, y1, x2, y2] = thing.box.map((value) => value * scale);
      context.strokeStyle = context.fillStyle = classColour(lane.classes.indexOf(thing.label));
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
      const text = `${thing.label} ${thing.score.toFixed(2)}`;
      const wide = context.measureText(text).width + 8;
      const x = Math.max(0, Math.min(x1 - context.lineWidth / 2, width - wide));
      const y = y1 - font - 6 >= 0 ? y1 - font - 6 : y1;
      context.fillRect(x, y, wide, font + 6);
      context.fillStyle = "#000";
      context.fillText(text, x + 4, y + 3.5);
    }
    count.textContent = shown.length === 1 ? "1 box" : `${shown.length} boxes`;
    if (lane.key === "prompts") {
      badge.hidden = false;
      badge.textContent = own.prompted ? "prompted" : "no support yet";
    }
    const names = shown.map((thing) => `${thing.label} ${thing.score.toFixed(2)}`).join(", ");
    canvas.setAttribute("aria-label", `${lane.title}, frame ${record.frame}: ${names || "no boxes"}`);
  }
  return { figure, colour, draw };
}

// The same colours as in annotated clips: hues spread by the golden ratio.
export function classColour(label) {
  return `hsl(${Math.round(((label * 0.61803398875) % 1) * 360)} 100% 62%)`;
}

function fitted(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

export function element(name, className = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  return made;
}
