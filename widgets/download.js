// A file from the kernel: it comes in pieces, and the browser keeps it where its downloads go. It is never opened: what a
// notebook left behind may hold scripts, and a page made here would have the rights of the Jupyter server's.

import { h } from './dom.js';

/** @typedef {{ file?: string, is_last?: boolean }} Told */

export class Download {
  /** @param {{ on: (name: any, callback: any) => void, off: (name: any, callback: any) => void }} model */
  constructor(model) {
    this.model = model;
    /** @type {BlobPart[]} */
    this.pieces = [];
    /** @param {Told} told @param {DataView[]} [buffers] */
    this.onPiece = (told, buffers) => this.take(told, buffers ?? []);
    model.on('msg:custom', this.onPiece);
  }

  dispose() {
    this.model.off('msg:custom', this.onPiece);
  }

  /** What has come of an earlier one is let go. */
  begin() {
    this.pieces = [];
  }

  /** @param {Told} told @param {DataView[]} buffers */
  take(told, buffers) {
    if (!told.file) return;
    this.pieces.push(...buffers.map((buffer) => /** @type {BlobPart} */ (buffer)));
    if (!told.is_last) return;
    const link = /** @type {HTMLAnchorElement} */ (h('a', { download: told.file, href: URL.createObjectURL(new Blob(this.pieces, { type: 'application/octet-stream' })) }));
    this.begin();
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}
