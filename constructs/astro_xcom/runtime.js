// The main program of jsii's Node process (see runtime.py). jsii's own, jsii-runtime.js, starts a second Node for
// program.js and passes every message on. This runs program.js at once, and keeps what is the same in each run: compiled
// code, and the digests of the packages' archives.
"use strict";
const fs = require("fs");
const { join } = require("path");
const { Writable } = require("stream");
const kept = require("./kept.js");

// jsii warns of other releases of Node, in jsii-runtime.js. The child that it starts gets our options, too.
const TESTED = ["22", "24"];

exports.run = (binFolder) => {
  delete process.env.NODE_PRESERVE_SYMLINKS; // not for what is started here
  if (!TESTED.includes(process.versions.node.split(".")[0])) {
    process.execArgv.push("--require", join(__dirname, "bindings.js"));
    return require(join(binFolder, "jsii-runtime.js"));
  }
  process.execArgv.push("--preserve-symlinks"); // as NODE_PRESERVE_SYMLINKS said; jsii looks whether it is here
  const program = join(binFolder, "..", "lib", "program.js");
  process.argv[1] = program;
  redirect("stdout");
  redirect("stderr");
  kept.keepCodeOfPackages();
  require("./bindings.js");
  kept.runProgram(program, changed(fs.readFileSync(program, "utf8")));
};

// stdout is for messages. What JavaScript prints goes to stderr, as jsii-runtime.js says it.
function redirect(name) {
  const write = (chunk, _, done) => {
    fs.writeSync(2, `${JSON.stringify({ [name]: chunk.toString("base64") })}\n`);
    done();
  };
  Object.defineProperty(process, name, { value: new Writable({ write }) });
}

// runtime.py knows the text of program.js by its digest.
function changed(source) {
  globalThis[Symbol.for("astro-xcom.digest")] = kept.digest;
  return source
    .replace("readFD:3,writeFD:3", "readFD:0,writeFD:1")
    .replace("return readFileChunks(e,()=>{},...p)}", 'return globalThis[Symbol.for("astro-xcom.digest")](e,p,()=>readFileChunks(e,()=>{},...p))}');
}
