// What jsii's Node process would find out again in each run, kept in jsii's cache of packages, or beside it: compiled code
// and the digests of archives. Every file is written elsewhere and renamed; where that fails, nothing is kept.
"use strict";
const { createHash } = require("crypto");
const fs = require("fs");
const Module = require("module");
const { homedir } = require("os");
const { basename, dirname, join } = require("path");
const vm = require("vm");

const { readFileSync } = fs; // bindings.js puts another in its place
const OURS = ["bindings.js", "kept.js", "runtime.js"].map((name) => readFileSync(join(__dirname, name)));
// V8 refuses code of another V8, but knows a source by its length only.
const CODE = `.astro-xcom-${process.version}-${process.arch}-${sha256(Buffer.concat(OURS)).slice(0, 16)}`;
const ROOTS = { darwin: "Library/Caches/com.amazonaws.jsii/package-cache", linux: ".cache/aws/jsii/package-cache" };

function sha256(content) {
  return createHash("sha256").update(content).digest("hex");
}

function attempt(action) {
  try {
    return action();
  } catch {
    return undefined; // all of it is optional
  }
}

function write(file, content) {
  const fresh = `${file}.${process.pid}.tmp`;
  try {
    fs.mkdirSync(dirname(file), { recursive: true });
    fs.writeFileSync(fresh, content, { flag: "wx", mode: 0o600 });
    fs.renameSync(fresh, file);
  } catch {
    attempt(() => fs.rmSync(fresh, { force: true }));
  }
}

// A folder of our own in jsii's cache, if that is there and in use.
const folder = attempt(() => {
  const { JSII_RUNTIME_PACKAGE_CACHE: cache, JSII_RUNTIME_PACKAGE_CACHE_ROOT: given } = process.env;
  const root = given || join(homedir(), ROOTS[process.platform]);
  if ((cache ?? "enabled").toLowerCase() !== "enabled") return undefined;
  fs.accessSync(root, fs.constants.W_OK);
  return join(root, ".astro-xcom");
});

// Compiled scripts, by the file that keeps their code.
const compiled = new Map();

function compile(source, filename, file) {
  const cachedData = attempt(() => readFileSync(file));
  const script = new vm.Script(Module.wrap(source), { filename, cachedData });
  if (!cachedData || script.cachedDataRejected) compiled.set(file, script);
  return script.runInThisContext();
}

process.on("exit", () => {
  for (const [file, script] of compiled) write(file, script.createCachedData());
});

exports.runProgram = (filename, source) => {
  const file = folder && join(folder, `${CODE}-${sha256(source)}`);
  const module = { exports: {} };
  const require = Module.createRequire(filename);
  compile(source, filename, file).call(module.exports, module.exports, require, module, filename, dirname(filename));
};

// A package in jsii's cache lies in a folder named after the digest of its archive, and jsii links it from there.
const PACKAGED = /^(.*?[\\/]node_modules[\\/](?:@cdkt[fn][\\/]provider-[^\\/]+|cdkt[fn]|constructs))[\\/](.+\.js)$/;
const folders = new Map();

function codeFolder(packageDir) {
  if (!folders.has(packageDir)) {
    const entry = attempt(() => fs.readlinkSync(packageDir)) ?? "";
    const found = /^[0-9a-f]{64}$/.test(basename(entry)) && attempt(() => fs.accessSync(entry, fs.constants.W_OK) ?? true);
    folders.set(packageDir, found && join(entry, CODE));
  }
  return folders.get(packageDir);
}

exports.keepCodeOfPackages = () => {
  const load = Module.prototype._compile;
  Module.prototype._compile = function (content, filename, ...rest) {
    const [, packageDir, path] = PACKAGED.exec(filename) ?? [];
    const within = packageDir && typeof content === "string" && codeFolder(packageDir);
    const run = within && attempt(() => compile(content, filename, join(within, path.replace(/[\\/]/g, "+"))));
    if (!run) return load.call(this, content, filename, ...rest);
    const require = (id) => this.require(id);
    require.resolve = (request, options) => Module._resolveFilename(request, this, false, options);
    Object.assign(require, { main: process.mainModule, extensions: Module._extensions, cache: Module._cache });
    return run.call(this.exports, this.exports, require, this, filename, dirname(filename));
  };
};

// jsii asks for the digest of each archive, 100 MB for three clouds, to find the package in its cache.
const digests = folder && join(folder, "digests.json");

exports.digest = (archive, more, compute) => {
  const status = digests && attempt(() => fs.statSync(archive, { bigint: true }));
  if (!status) return compute();
  const is = [status.dev, status.ino, status.size, status.mtimeNs, status.ctimeNs, ...more].join(" ");
  const known = attempt(() => JSON.parse(readFileSync(digests, "utf8"))) ?? {};
  if (known[archive]?.is === is) return Buffer.from(known[archive].digest, "hex");
  const found = compute();
  const there = Object.entries(known).filter(([file]) => fs.existsSync(file));
  write(digests, JSON.stringify({ ...Object.fromEntries(there), [archive]: { is, digest: found.toString("hex") } }));
  return found;
};
