// A list or a slider keeps the keys that it handles: JupyterLab would use them to move between cells.

const OWN = new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown", "Enter", " "]);
const LISTENING = "select, button, [role='slider'], input[type='radio']";

function keep(event) {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
  // In a list letters start a search.
  const own = OWN.has(event.key) || (event.key.length === 1 && event.target.matches("select"));
  if (plain && own && event.target.matches(LISTENING)) event.stopPropagation();
}

function render({ el }) {
  el.style.display = "none";
  let lab = null;
  let frame = requestAnimationFrame(function find() {
    lab = el.closest(".wb-lab"); // not there before this is on the page
    if (lab) lab.addEventListener("keydown", keep);
    else frame = requestAnimationFrame(find);
  });
  return () => {
    cancelAnimationFrame(frame);
    lab?.removeEventListener("keydown", keep);
  };
}

export default { render };
