// What kernelkit/ui/widget.py sends (`live_view` of kernelkit/ui/view.py's RunCard) and what anywidget hands to `render`.

export interface Bit { text: string; kind?: 'text' | 'strong' | 'mono' | 'countdown'; at?: string }
export interface Bar { label: string; done: number; total?: number; share?: number; left?: string; ended?: boolean }
export interface LogRow { time: string; level: string; text: string }
export interface Pair { key: string; value: string }
export interface Frame { place: string; function: string; line: number; source: string; before?: string; after?: string }
export interface Failure { name: string; message: string; frames?: Frame[]; frame_count?: number; traceback?: string; note?: string }
export interface Output { kind: string; size: string; text: string; flat: string; is_cut?: boolean }

/** What an entry of "More" shows inside the card (`Inside` of kernelkit/ui/card_acts.py). */
export interface Inside { what: string; value: Output; code: string }

export interface StreamEnd { name: string; count: string; text: string; is_cut?: boolean }
/** What a person is to answer (`Asked` of kernelkit/ui/token_card.py). */
export interface Asked { id: string; title: string; context?: Pair[]; more?: number; answer?: string; form?: { fields: FormField[]; whole?: boolean }; verdict?: boolean; until?: string }
export interface TokenView {
  asked: Asked; status: string; word: string; until_text?: string; waiting?: string[]; more_waiting?: number; output?: string;
  why?: string; after?: string; created: string; tags?: string[]; is_final?: boolean; as_of: string; as_of_text: string; zone: string;
  answer?: Told;
}

/** What a notebook job's card says besides (`JobView` of kernelkit/ui/job.py). */
export interface Job {
  file: string; kernel: string; cells: number; done: number; cell?: number; at?: string; told?: string; source?: string; since?: string;
  elapsed?: string; output?: string; parameters?: { name: string; value: string }[]; more_parameters?: number;
}
export interface View {
  run_id: string; task: string; status: string; word: string; title: string; is_final?: boolean;
  since?: string; clock?: string; reason?: Bit[]; remedy?: string; bars?: Bar[]; logs?: LogRow[]; metadata?: Pair[]; more_metadata?: number;
  has_tree?: boolean; job?: Job; files?: { name: string; size: string; path: string }[]; more_files?: number;
  output?: Output; error?: Failure; streams?: StreamEnd[]; asked?: Asked; attempt?: string; attempts?: string[]; queue?: string; facts?: string[];
  tags?: string[]; more_tags?: number; queued_since?: string; as_of: string; as_of_text?: string; zone?: string;
}
/** How the kernel stands to the engine: `silent` since a moment (ms), or live. */
export interface Link { state?: 'live' | 'silent'; since?: number; known?: string }
export interface Answer { to?: number; ok?: boolean; text?: string; errors?: Told['errors'] }

/** One row of a run tree (`TreeRow` of kernelkit/ui/tree.py). */
export interface TreeRow {
  key: string; name: string; status?: string; last?: boolean[]; twist?: '' | 'open' | 'closed'; note?: string;
  counts?: [string, number][]; clock?: string; since?: string; begin?: number; end?: number | null;
}
export interface TreeView {
  run_id: string; task: string; status: string; word: string; total: number; counts: [string, number][]; ended: number;
  rows: TreeRow[]; unread?: number; hidden?: number; length?: number; is_final?: boolean; as_of: string; as_of_text: string; zone: string;
}

/** One row of the queues panel (`QueueRow` of kernelkit/ui/queues.py). */
export interface QueueRow {
  name: string; id?: string; state?: string; slots?: string; running?: number; limit?: number | null; current?: number | null; by_hand?: string;
  queued?: string; oldest?: string; rate?: string; keys?: string; is_key?: boolean;
}
export interface Told { to: number; ok: boolean; text: string; errors?: { path: (string | number)[]; text: string }[] }
export interface QueuesView {
  title: string; rows: QueueRow[]; paused?: boolean; note?: string; as_of: string; as_of_text: string; zone: string; answer?: Told;
}

/** One row of the schedules panel (`ScheduleRow` of kernelkit/ui/schedules.py). */
export interface ScheduleRow {
  id: string; on: boolean; task: string; cron: string; missed: string; words: string; timezone: string; external?: string; next_at?: string;
  last_at?: string; last_status?: string; last_word?: string; missed_why?: string;
}
export interface SchedulesView {
  title: string; rows: ScheduleRow[]; note?: string; as_of: string; as_of_text: string; zone: string; answer?: Told;
}

/** What kernelkit/ui/engine_source.py sends (`EngineView` of kernelkit/ui/engine_panel.py). */
export interface Figure { name: string; value: string; of?: string; more?: string; line?: number[]; share?: number | null }
export interface WorkerRow { id: string; kind: string; pid: number; doing: string; is_busy?: boolean; names?: string; memory?: string; share?: number; since?: string }
export interface EngineView {
  is_well: boolean; title: string; about: string; problem: string; is_away?: boolean; began?: string; four?: Figure[];
  held?: { queue: string; queued: string; reason: string }[]; workers: WorkerRow[]; more_workers?: number; last_word?: string; logs: string;
  as_of: string; as_of_text: string; answer?: Told;
}

/** One control of a form (`Field` of kernelkit/ui/form.py). */
export interface FormField {
  name: string; kind: string; label?: string; hint?: string; required?: boolean; nullable?: boolean; has_default?: boolean; initial?: unknown;
  integer?: boolean; low?: number; high?: number; above?: number; below?: number; min_length?: number; max_length?: number;
  pattern?: string; choices?: { label: string; value: unknown }[]; fields?: FormField[]; item?: FormField; max_items?: number;
  placeholder?: string;
}
export interface RecentRun { run_id: string; status: string; word: string; created: string; clock?: string; since?: string; note?: string }
export interface TaskView {
  task: string; name: string; version: string; where: string; rules: string[]; description?: string; counts?: string;
  more?: { what: string; text: string } | null;
  form: { fields: FormField[]; whole?: boolean }; options: FormField[]; recent?: RecentRun[]; total: number;
  as_of: string; as_of_text: string; zone: string;
  answer?: Told;
}

/** One stretch of a row; seconds since the origin of the timeline (`TimelineSpan` of kernelkit/ui/timeline.py). */
export interface Span { kind: string; begin: number; end?: number | null; status: string; attempt: number; say: string; note: string }
/** As it is sent: `[kind, begin, end, status, attempt, say, note]`; what is left out at the end is empty. */
export type SentSpan = [string, number, (number | null)?, string?, number?, string?, string?];
export interface TimelineRow { key: string; name: string; status: string; word: string; level?: number; spans?: SentSpan[]; note?: string; is_group?: boolean }
export interface TimelineView {
  run_id: string; task: string; status: string; word: string; is_tree?: boolean; origin: string; offset?: number; length?: number;
  rows: TimelineRow[]; hidden?: number; total?: number; is_final?: boolean; as_of: string; as_of_text: string; zone: string;
}

/** The runs table (`LiveTable` of kernelkit/ui/table_live.py). */
export interface RunRow {
  id: string; task: string; status: string; word: string; created: string; created_full: string; clock?: string; queue: string;
  tag?: string; since?: string; bar?: number; attempts?: number; can_cancel?: boolean;
}
export interface Chip { status: string; word: string; count?: string; on?: boolean }
export interface Action { title: string; label: string; done?: number; total?: number; trouble?: string; over?: boolean }
export interface TableView {
  rows: RunRow[]; total: number; total_text: string; chips: Chip[]; more: Chip[];
  last?: { bars: [string, number][]; median: string; p95: string; failed: number; told: string } | null;
  search?: string; task?: string; tasks?: string[]; period?: number; periods?: string[]; place?: string; newer?: boolean;
  older?: boolean; new?: number; live?: boolean; held?: boolean; empty?: string; wider?: string; cancelable?: number;
  action?: Action | null; problem?: string; as_of: string; as_of_text: string; zone: string;
}

/** A batch (`BatchGrid` of kernelkit/ui/batch_grid.py). */
export interface BatchItem { index: number; status?: string; text?: string; run_id?: string }
export interface BatchView {
  batch_id: string; name: string; status: string; word: string; total: number; ended: number; since?: string | null; clock?: string;
  counts: { status: string; word: string; count: number; codes: string }[]; left?: string; failed?: BatchItem[]; more_failed?: number;
  chosen?: BatchItem | null; cells?: string; facts?: string[]; open?: number; is_final?: boolean; as_of: string; as_of_text: string; zone: string;
  answer?: Told;
}

/** A log viewer (`LogView` of kernelkit/ui/logs.py). */
export type Line = [key: number, time: string, level: string, text: string];
export interface LogView {
  lines?: Line[]; run_id: string; task: string; status: string; word: string; count: number; note?: string; earlier?: boolean; levels?: [string, string, boolean][];
  search?: string; follow?: boolean; empty?: string; problem?: string; as_of: string; as_of_text: string; zone: string; answer?: Told;
}

/** Brings the forms, which come apart: few views need them, and no saved one does. */
export type Bring = () => Promise<typeof import('./answer.js') & typeof import('./form.js') & typeof import('./python.js')>;

export interface Model<V = View> {
  get(name: 'view'): V;
  get(name: 'link'): Link;
  get(name: 'answer'): Answer;
  get(name: 'beat'): number;
  get(name: 'parts'): string[];
  set(name: string, value: unknown): void;
  on(name: string, callback: () => void): void;
  off(name: string, callback: () => void): void;
  send(content: object): void;
}
