// The page's one copy of 3Dmol.js, for all pictures of all notebooks on it. Its text comes from Python,
// as a widget of its own that the pictures name in their trait `script`.

/**
 * @param {any} model of a picture
 * @returns {Promise<{$3Dmol: any, viewers: number}>} the library and how many viewers are alive,
 *   since all of them share one WebGL context
 */
export async function sharedLibrary(model) {
  const script = await model.widget_manager.get_model(model.get("script").replace("IPY_MODEL_", ""));
  const text = script.get("text");
  const key = Symbol.for(text.slice(0, text.indexOf("\n"))); // its first line names the version
  globalThis[key] ??= evaluate(text).catch((error) => {
    delete globalThis[key]; // the next picture tries again
    throw error;
  });
  return globalThis[key];
}

/** The script says `var $3Dmol = ...`: as a module it leaves the page's own names alone. */
async function evaluate(text) {
  const address = URL.createObjectURL(new Blob([text, "\nexport default $3Dmol;"], { type: "text/javascript" }));
  try {
    const module = await import(address);
    return { $3Dmol: module.default, viewers: 0 };
  } finally {
    URL.revokeObjectURL(address);
  }
}
