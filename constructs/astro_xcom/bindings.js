// Runs inside jsii's Node process (see bindings.py) and makes CDKTF and its providers cheap to load. Everything that is not
// one of their files, or does not look as expected, is loaded as ever.
"use strict";
const fs = require("fs");
const Module = require("module");
const { dirname, join } = require("path");
const { Worker } = require("worker_threads");

process.noDeprecation = true; // else Node says on each run that cdktf calls util.isArray

// lib/index.js is a list of 2,200 `exports.s3Bucket = require("./s3-bucket");`. Require each on first use instead. CDK Terrain's
// begins with helpers of TypeScript and wraps each in __importStar, which gives back an ES module as it is.
const INDEX = /[\\/]@cdkt[fn][\\/]provider-[^\\/]+[\\/]lib[\\/]index\.js$/;
const HELPERS = /^var __createBinding = .*?^}\)\(\);$/ms;
const REEXPORT = /^exports\.(\w+) = (?:__importStar\()?require\("(\.\/[\w-]+(?:\/index)?)"\)\)?;$/;
const ES_MODULE = 'Object.defineProperty(exports, "__esModule", { value: true });';
const NO_EFFECT = /^(?:|\/[/*].*| \*.*|"use strict";|(?:exports\.\w+ = )+void 0;)$/;

function reexports(source) {
  const lines = source.replace(HELPERS, "").split("\n");
  const others = lines.filter((line) => !REEXPORT.test(line) && !NO_EFFECT.test(line));
  return others.length === 1 && others[0] === ES_MODULE && lines.map((line) => REEXPORT.exec(line)).filter(Boolean);
}

const compile = Module.prototype._compile;
Module.prototype._compile = function (content, filename, ...rest) {
  const found = INDEX.test(filename) && typeof content === "string" && reexports(content);
  if (!found) return compileCore.call(this, content, filename, ...rest);
  Object.defineProperty(this.exports, "__esModule", { value: true });
  for (const [, name] of found) this.exports[name] = undefined; // as the file does; the getters then cost half
  for (const [, name, path] of found) Object.defineProperty(this.exports, name, { get: () => this.require(path) });
};

// CDKTF requires the package that packs assets, in vain: it packs them in a process of its own. It notes where each token is
// made, for a message that may never come, and most of the cost is to put it into words: that can wait.
const CORE = /[\\/]node_modules[\\/]cdkt[fn][\\/]lib[\\/](private[\\/]fs|tokens[\\/]private[\\/]stack-trace)\.js$/;
const ARCHIVER = 'const archiver = require("archiver");';

function compileCore(content, filename, ...rest) {
  const [, core] = CORE.exec(filename) ?? [];
  if (!core || typeof content !== "string") return compile.call(this, content, filename, ...rest);
  compile.call(this, content.replace(ARCHIVER, 'const archiver = (...all) => require("archiver")(...all);'), filename, ...rest);
  if (core.endsWith("stack-trace")) this.exports.captureStackTrace = noteStack;
}

const notes = new WeakMap();

function inWords(stack) {
  const noted = notes.get(stack);
  notes.delete(stack);
  if (noted) stack.push(...noted.stack.split("\n").slice(1).map((line) => line.replace(/^\s*at\s+/, "")));
  return stack;
}

const READS = ["get", "has", "ownKeys", "getOwnPropertyDescriptor"];
const LATER = Object.fromEntries(READS.map((name) => [name, (stack, ...rest) => Reflect[name](inWords(stack), ...rest)]));

function noteStack(below) {
  const noted = {}, stack = [], { stackTraceLimit } = Error;
  Error.stackTraceLimit = Number.MAX_SAFE_INTEGER;
  Error.captureStackTrace(noted, below || noteStack);
  Error.stackTraceLimit = stackTraceLimit;
  notes.set(stack, noted);
  return new Proxy(stack, LATER);
}

// jsii reads the file with the definitions of all types of a package (35 MB for aws) to look up a few dozen by
// position. Read those; any other use of the buffer gets the real one.
const DEFINITIONS = /[\\/]@cdkt[fn][\\/]provider-[^\\/]+[\\/]\.jsii\.runtime-defs\.v1\.jsonl$/;
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

// jsii reads all of a package (130 MB for aws) unless an index of its types lies in its cache. It starts a worker that writes
// one afterwards, and exits without waiting for it: of the provider that was loaded last it would never be there. Run the same
// worker before, when jsii looks for an index that is not there yet; jsii then reads what it wrote.
const MANIFEST = /[\\/]@cdkt[fn][\\/]provider-[^\\/]+[\\/]\.jsii\.runtime\.v\d+\.json$/;
const LONGEST_WAIT_MS = 60_000; // a worker that dies says nothing
const INDEXER = `
  const { workerData } = require("worker_threads");
  workerData.supportedFeatures = { includes: () => true }; // jsii checks them as it reads the index
  try {
    require(workerData.script);
  } finally {
    Atomics.store(workerData.ended, 0, 1);
    Atomics.notify(workerData.ended, 0);
  }
`;

function writeIndex(packageDir) {
  const script = join(dirname(process.argv[1]), "runtime-index-worker.js");
  // jsii links what lies in its cache. A copy, as on Windows, goes as this process ends, and so would its index.
  if (!fs.lstatSync(packageDir).isSymbolicLink()) return;
  fs.accessSync(packageDir, fs.constants.W_OK);
  const ended = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(INDEXER, { eval: true, workerData: { script, packageDir, ended } });
  worker.on("error", () => {}); // jsii reads all of the package, as it would have
  Atomics.wait(ended, 0, 0, LONGEST_WAIT_MS);
}

fs.readFileSync = (path, ...options) => {
  if (DEFINITIONS.test(path) && options.length === 0) return lazyBuffer(path);
  if (MANIFEST.test(path) && !fs.existsSync(path)) {
    try {
      writeIndex(dirname(path));
    } catch {
      // all of it is optional
    }
  }
  return readFileSync(path, ...options);
};
