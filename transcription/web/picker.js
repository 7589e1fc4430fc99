// Choosing recordings: files, folders, and both dropped on the page.

const MEDIA = /\.(mp3|wav|ogg|oga|opus|flac|m4a|m4b|aac|wma|mp4|m4v|webm|weba|avi|mov|mkv|mka|flv|mpg|mpeg|mpga|ts|3gp|amr|aiff?|caf|wv)$/i;

const sizeOf = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const isMedia = ({ name }) => MEDIA.test(name);

export class Picker {
  /** file, folder: inputs. drop: where files may be dropped. summary: says what was chosen. */
  constructor({ file, folder, drop, summary }) {
    this.inputs = { file, folder };
    this.summary = summary;
    this.hint = summary.textContent;
    this.files = [];
    file.addEventListener("change", () => this.#choose([...file.files]));
    // A folder has other things than recordings.
    folder.addEventListener("change", () => this.#choose([...folder.files].filter(isMedia)));
    for (const name of ["dragenter", "dragover"])
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
    drop.addEventListener("drop", async (event) => this.#choose(await dropped(event.dataTransfer)));
    // Otherwise a file that is dropped outside the frame would replace the page.
    for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
  }

  /** Take the files that were chosen; afterwards none are. */
  take() {
    const { files } = this;
    this.files = [];
    this.inputs.file.value = "";
    this.inputs.folder.value = "";
    this.summary.textContent = files.length ? this.hint : "Choose a recording first.";
    if (!files.length) this.inputs.file.focus();
    return files;
  }

  #choose(files) {
    this.files = files;
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    if (files.length === 0) this.summary.textContent = "There is no recording in it.";
    else this.summary.textContent = `${files.length === 1 ? files[0].name : `${files.length} recordings`}, ${sizeOf(bytes)}`;
  }
}

/** All files that were dropped, and the recordings in folders that were. */
async function dropped(transfer) {
  // Both are read before the first await: afterwards the transfer is empty.
  const things = [...transfer.items].map((item) => ({ file: item.getAsFile(), entry: item.webkitGetAsEntry?.() }));
  const found = await Promise.all(things.map(({ file, entry }) => (entry?.isDirectory ? filesIn(entry) : file)));
  return found.flat().filter(Boolean);
}

async function filesIn(folder) {
  const reader = folder.createReader();
  const entries = [];
  while (true) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break; // browsers give a hundred at a time
    entries.push(...some);
  }
  const found = await Promise.all(
    entries.map((entry) => (entry.isDirectory ? filesIn(entry) : new Promise((resolve, reject) => entry.file(resolve, reject)))),
  );
  return found.flat().filter(isMedia);
}
