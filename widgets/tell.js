/** @param {HTMLElement} el @param {unknown} problem */
export function tell(el, problem) {
  el.textContent = `KernelKit cannot draw this view: ${problem}.`;
}
