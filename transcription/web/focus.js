// Keeps the focus where the user can see it: what has it may be hidden, or have nothing to do any more.

/** Hide an element. If the focus is in it, another element gets it. */
export function hide(element, next) {
  const lost = element.contains(document.activeElement);
  element.hidden = true;
  if (lost) next.focus();
}

/** Say whether a button has something to do. It stays a tab stop, because disabled buttons lose the focus. */
export const enable = (button, isEnabled) => button.setAttribute("aria-disabled", String(!isEnabled));
