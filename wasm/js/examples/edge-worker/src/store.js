/**
 * What a stream keeps in the storage of its Durable Object:
 *
 * - the last checkpoint: snapshots of both processors, in pieces,
 * - the journal: the lines that came since, in pieces,
 * - the block that was cut and is not yet acknowledged, in pieces,
 * - a few values: the source's name, the number of the last block, how many lines no block has.
 *
 * Each method is one transaction, so a crash leaves the state before it or after it. Pieces are
 * smaller than 2 MB, the limit of a value.
 */

/** The largest piece. */
export const PIECE_BYTES = 1 << 20;
/** The size of the journal at which a checkpoint replaces it. */
const MAX_JOURNAL_BYTES = 4 << 20;

export class Store {
  #storage;
  #sql;

  constructor(storage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS pieces (part TEXT, number INTEGER, bytes BLOB, PRIMARY KEY (part, number))");
    this.#sql.exec('CREATE TABLE IF NOT EXISTS "values" (name TEXT PRIMARY KEY, value)');
  }

  /** Returns the name by which the receiver knows this stream; it never changes. */
  get source() {
    return this.#value("source");
  }

  /** Returns the number of the last block that was cut; 0 before the first. */
  get sequence() {
    return this.#value("sequence") ?? 0;
  }

  /** Returns the number of lines that are in no block yet. */
  get pendingLines() {
    return this.#value("pending_lines") ?? 0;
  }

  /** Returns true if the journal is so long that a checkpoint should replace it. */
  get isJournalLong() {
    return (this.#value("journal_bytes") ?? 0) >= MAX_JOURNAL_BYTES;
  }

  /** Sets the name of the source unless there is one. */
  setSource(source) {
    if (this.source === undefined) this.#setValue("source", source);
  }

  /** Returns the snapshots and the journal in pieces; there are none before the first. */
  load() {
    return { edge: this.#read("edge"), current: this.#read("current"), journal: this.#read("journal") };
  }

  /** Appends lines that the processor has taken. */
  appendLines(bytes, lines) {
    this.#storage.transactionSync(() => {
      this.#append("journal", piecesOf(bytes));
      this.#setValue("journal_bytes", (this.#value("journal_bytes") ?? 0) + bytes.length);
      this.#setValue("pending_lines", this.pendingLines + lines);
    });
  }

  /** Replaces the checkpoint and empties the journal. */
  checkpoint({ edge, current }) {
    this.#storage.transactionSync(() => this.#setCheckpoint(edge, current));
  }

  /** Stores the next block together with the state after it. Returns the block's number. */
  addBlock(block, { edge, current }) {
    return this.#storage.transactionSync(() => {
      this.#setCheckpoint(edge, current);
      this.#append("block", piecesOf(block));
      this.#setValue("pending_lines", 0);
      this.#setValue("sequence", this.sequence + 1);
      return this.sequence;
    });
  }

  /** Returns the block that waits for its acknowledgement; undefined if there is none. */
  block() {
    const pieces = this.#read("block");
    return pieces.length === 0 ? undefined : joined(pieces);
  }

  /** Removes the block with this number, if it waits. */
  acknowledge(sequence) {
    if (sequence === this.sequence) this.#remove("block");
  }

  #setCheckpoint(edge, current) {
    for (const part of ["edge", "current", "journal"]) this.#remove(part);
    this.#append("edge", edge);
    this.#append("current", current);
    this.#setValue("journal_bytes", 0);
  }

  #append(part, pieces) {
    let { number } = this.#sql.exec("SELECT coalesce(max(number), 0) AS number FROM pieces WHERE part = ?", part).one();
    for (const piece of pieces) {
      number += 1;
      this.#sql.exec("INSERT INTO pieces VALUES (?, ?, ?)", part, number, piece);
    }
  }

  #read(part) {
    const rows = this.#sql.exec("SELECT bytes FROM pieces WHERE part = ? ORDER BY number", part).toArray();
    return rows.map(({ bytes }) => new Uint8Array(bytes));
  }

  #remove(part) {
    this.#sql.exec("DELETE FROM pieces WHERE part = ?", part);
  }

  #value(name) {
    return this.#sql.exec('SELECT value FROM "values" WHERE name = ?', name).toArray()[0]?.value;
  }

  #setValue(name, value) {
    this.#sql.exec('INSERT OR REPLACE INTO "values" VALUES (?, ?)', name, value);
  }
}

/** Cuts bytes into pieces. */
function* piecesOf(bytes) {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.slice(at, at + PIECE_BYTES);
}

function joined(pieces) {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
