// A live answer, for as long as it is one.

/** Call `show(state)` at first and whenever it has changed, and `ended(error)` where the url says no, or does by now. */
export async function watch(live, show, ended) {
  try {
    for await (const state of live) show(state);
  } catch (error) {
    ended(error);
  }
}
