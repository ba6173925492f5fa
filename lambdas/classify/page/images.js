// Images: examples that are drawn here, files as they come in, and what the API is sent of them.
const round = (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0-${2 * r} 0z`;
const DARK = "#28242c", PANE = "#e1eef5";
const SAMPLES = {
  fish: ["#bcdff2", ["#f0832a", "M166 128l60 44V84zM34 128a76 46 0 1 0 152 0a76 46 0 1 0-152 0z"], [DARK, round(72, 114, 9)]],
  house: ["#d9ecfa", ["#d9a441", "M62 114h132v94H62z"], ["#803c30", "M40 116L128 42l88 74z"], [PANE, "M82 136h38v36H82z"], [DARK, "M144 142h32v66h-32z"]],
  tree: ["#f4f4f2", ["#704828", "M116 130h24v86h-24z"], ["#348c3c", round(128, 94, 56) + round(88, 128, 36) + round(168, 128, 36)]],
  car: ["#e9e2d2", ["#2c62c4", "M74 122l20-46h72l28 46zM32 116h192v52H32z"], [PANE, "M90 118l13-30h22v30zM135 118V88h22l15 30z"], [DARK, round(78, 168, 24) + round(178, 168, 24)]],
  cup: ["#f7f3ea", ["#c23b3b", "M54 66h122l-14 130H68zM160 92h20a36 36 0 1 1 0 72h-26l3-24h20a12 12 0 1 0 0-24h-20z"]],
  star: ["#3a3f4a", ["#f4d03a", "M128 30l29 66 71 6-54 46 17 70-63-37-63 37 17-70-54-46 71-6z"]],
};

function canvasOf(width, height) {
  const canvas = el("canvas", {width, height}), context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  return [canvas, context];
}

function drawn([name, [ground, ...parts]]) {
  const [canvas, context] = canvasOf(256, 256);
  for (const [paint, path] of [[ground, "M0 0h256v256H0z"], ...parts]) {
    context.fillStyle = paint;
    context.fill(new Path2D(path));
  }
  const bytes = atob(canvas.toDataURL().split(",")[1]);
  return pictured(new File([Uint8Array.from(bytes, each => each.charCodeAt())], name + ".png", {type: "image/png"}));
}

/** A file with the address under which this page shows it; `folder` is the one that it lay in. */
const pictured = (file, folder = "") => ({file, name: file.name, folder, url: URL.createObjectURL(file)});

/** The file as the API takes it: if it is too large, scaled until its longer side has `longest` pixels. */
async function shrunk(file, longest = 1024) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return file;  // not for this browser to judge: the API says what is wrong with it
  const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && file.size <= CONTRACT.max_bytes / 4) return file;
  const [canvas, context] = canvasOf(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise(done => canvas.toBlob(done, file.type === "image/png" ? file.type : "image/jpeg", .92));
}

const small = image => image.small ??= shrunk(image.file);
const images = (files, folder) => [...files].filter(file => /^image/.test(file.type) || !file.type && /\.(jpe?g|png|webp|gif|avif|heic|bmp|tiff?)$/i.test(file.name)).map(file => pictured(file, folder));

/** The images of a drop, those in its folders too. */
async function dropped(transfer) {
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry()).filter(Boolean), found = entries.length ? [] : images(transfer.files);
  const walk = async (entry, folder) => {
    const read = (reader, name) => new Promise((done, failed) => reader[name](done, failed));
    if (entry.isFile) return found.push(...images([await read(entry, "file")], folder));
    const reader = entry.createReader();
    for (let some; (some = await read(reader, "readEntries")).length;) for (const each of some) await walk(each, entry.name);
  };
  for (const entry of entries) await walk(entry);
  return found;
}

/** A place to drop images on, or to choose them with the input in it, also before this runs. */
function takesImages(stage, take) {
  const input = stage.querySelector("input");
  input.onchange = () => { take(images(input.files)); input.value = ""; };
  stage.ondragover = () => stage.classList.add("over");
  stage.ondragleave = () => stage.classList.remove("over");
  input.onchange();
}

function stageShows(stage, image, tip) {
  const picture = stage.querySelector("img"), words = stage.querySelector(".tip");
  words.textContent = tip;
  picture.alt = image?.name || "";
  picture.onerror = () => { picture.removeAttribute("src"); words.textContent = `${image.name} can't be shown here`; };
  if (image) picture.src = image.url; else picture.removeAttribute("src");
}

/** Of these promised files, from the first on, those that go into one request. */
async function fitting(promised) {
  let bytes = 0;
  const files = await Promise.all(promised), first = files.findIndex((file, i) => (bytes += file.size) > CONTRACT.max_bytes * .95 && i);
  return first < 0 ? files : files.slice(0, first);
}
