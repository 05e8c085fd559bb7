// Runs inside jsii's Node process (see bindings.py) and makes CDKTF providers cheap to load. Everything that is not a
// file of @cdktf/provider-*, or does not look as expected, is loaded as ever.
"use strict";
const fs = require("fs");
const Module = require("module");

process.noDeprecation = true; // else Node says on each run that cdktf calls util.isArray

// lib/index.js is a list of 2,200 `exports.s3Bucket = require("./s3-bucket");`. Require each on first use instead.
const INDEX = /[\\/]@cdktf[\\/]provider-[^\\/]+[\\/]lib[\\/]index\.js$/;
const REEXPORT = /^exports\.(\w+) = require\("(\.\/[\w-]+)"\);$/;
const ES_MODULE = 'Object.defineProperty(exports, "__esModule", { value: true });';
const NO_EFFECT = /^(?:|\/[/*].*| \*.*|"use strict";|(?:exports\.\w+ = )+void 0;)$/;

function reexports(source) {
  const lines = source.split("\n");
  const others = lines.filter((line) => !REEXPORT.test(line) && !NO_EFFECT.test(line));
  return others.length === 1 && others[0] === ES_MODULE && lines.map((line) => REEXPORT.exec(line)).filter(Boolean);
}

const compile = Module.prototype._compile;
Module.prototype._compile = function (content, filename, ...rest) {
  const found = INDEX.test(filename) && typeof content === "string" && reexports(content);
  if (!found) return compile.call(this, content, filename, ...rest);
  Object.defineProperty(this.exports, "__esModule", { value: true });
  for (const [, name] of found) this.exports[name] = undefined; // as the file does; the getters then cost half
  for (const [, name, path] of found) Object.defineProperty(this.exports, name, { get: () => this.require(path) });
};

// jsii reads the file with the definitions of all types of a package (35 MB for aws) to look up a few dozen by
// position. Read those; any other use of the buffer gets the real one.
const DEFINITIONS = /[\\/]@cdktf[\\/]provider-[^\\/]+[\\/]\.jsii\.runtime-defs\.v1\.jsonl$/;
const readFileSync = fs.readFileSync;

function lazyBuffer(path) {
  const file = fs.openSync(path); // stays open: jsii may look up another type at any time
  let buffer;
  const whole = () => (buffer ??= readFileSync(path));
  const toString = (encoding, start, end) => {
    if (!(start >= 0 && end >= start)) return whole().toString(encoding, start, end);
    const part = Buffer.allocUnsafe(end - start);
    return part.toString(encoding, 0, fs.readSync(file, part, 0, part.length, start));
  };
  const get = (_, key) => {
    if (key === "toString") return toString;
    const value = whole()[key];
    return typeof value === "function" ? value.bind(whole()) : value;
  };
  return new Proxy({}, { get });
}

fs.readFileSync = (path, ...options) =>
  DEFINITIONS.test(path) && options.length === 0 ? lazyBuffer(path) : readFileSync(path, ...options);

// jsii reads all of a package (130 MB for aws) unless an index of its types lies in its cache. A worker writes that index, and
// jsii exits without waiting for it: of the provider that was loaded last it would never be there. Wait for the worker, for
// less than the 5 s after which jsii's Python half kills this process: on a busy machine a later run writes it.
const threads = require("worker_threads");
const LONGEST_WAIT_MS = 4000;
const AS_JSII = `
  const { workerData } = require("worker_threads");
  process.on("exit", () => {
    Atomics.store(workerData.ended, 0, 1);
    Atomics.notify(workerData.ended, 0);
  });
  require(workerData.script);
`;
const { Worker } = threads;
const indexing = [];

threads.Worker = class extends Worker {
  constructor(script, options) {
    if (!/[\\/]runtime-index-worker\.js$/.test(script)) return new Worker(script, options);
    const ended = new Int32Array(new SharedArrayBuffer(4));
    super(AS_JSII, { ...options, eval: true, workerData: { ...options.workerData, script, ended } });
    indexing.push(ended);
  }
};
// Before jsii's own listener, which removes the folder that the worker writes to.
process.prependListener("exit", () => {
  const deadline = Date.now() + LONGEST_WAIT_MS;
  for (const ended of indexing) Atomics.wait(ended, 0, 0, Math.max(0, deadline - Date.now()));
});
