/** What anywidget gives to `render`, for tests. */
export class FakeModel {
  constructor(view) {
    this.state = { view, link: { state: 'live' }, beat: 0 };
    this.heard = new Map();
    this.sent = [];
  }

  get(name) { return this.state[name]; }
  on(name, callback) { this.heard.set(name, [...(this.heard.get(name) ?? []), callback]); }
  off(name, callback) { this.heard.set(name, (this.heard.get(name) ?? []).filter((one) => one !== callback)); }
  send(content) { this.sent.push(JSON.parse(JSON.stringify(content))); }
  say(name, value) {
    this.state[name] = value;
    for (const callback of this.heard.get(`change:${name}`) ?? []) callback();
  }
  get listeners() { return [...this.heard.values()].flat().length; }
}
