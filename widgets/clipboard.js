// A text for the reader to take along; not every page may write to the clipboard.

export const NO_CLIPBOARD = 'This page may not write to the clipboard.';

/**
 * Whether it is in the clipboard; where the page may not write to it, its text is at least selected for the reader's own copy.
 * @param {string} text
 * @param {HTMLElement} place
 */
export async function copied(text, place) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(place);
    getSelection()?.removeAllRanges();
    getSelection()?.addRange(range);
    return false;
  }
}
