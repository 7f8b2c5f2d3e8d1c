// Writes the models of the package nsfwjs, which are JavaScript modules that hold base64, as files.
//
// node unbundle.js package_folder target_folder
'use strict';

const fs = require('fs');
const path = require('path');

const [source, target] = process.argv.slice(2);

function content(file) {
  const found = require(file);
  return found.default || found;
}

for (const name of fs.readdirSync(path.join(source, 'dist', 'models'))) {
  const folder = path.join(source, 'dist', 'models', name);
  if (!fs.existsSync(path.join(folder, 'model.min.js'))) {
    continue;
  }
  const tree = content(path.resolve(folder, 'model.min.js'));
  fs.mkdirSync(path.join(target, name), {recursive: true});
  fs.writeFileSync(path.join(target, name, 'model.json'), JSON.stringify(tree));
  for (const file of tree.weightsManifest.flatMap((group) => group.paths)) {
    const data = Buffer.from(content(path.resolve(folder, `${file}.min.js`)), 'base64');
    fs.writeFileSync(path.join(target, name, file), data);
  }
}
