// An adapter of the Etui conformance suite, for a library in Go.
//
// The suite starts this program once and asks it things: a JSON object a line on standard input, and for each an answer,
// a JSON object a line, on standard output. Standard error is yours: what you print there is shown beside a failure.
//
//	go build -o adapter . && etui-conformance smoke --adapter ./adapter
//	etui-conformance run --profile weights-reader --adapter ./adapter
//
// The adapter claims nothing yet, and so answers every question but hello, reset and bye with `unsupported`.
// It grows in this order, and each step turns checks from "not claimed" into "passed":
//
//  1. decode: call your library, answer with what it read, and claim it in claimedOps and hello.
//  2. validate: call your library's full verification.
//  3. encode and transcode: call your library's writer.
//
// SPEC.md, annex P, says what each request and each answer holds. Beware of encoding/json for the documents of an
// artifact: it hides keys that are there twice, and the form of numbers.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// decode, validate, encode, transcode: what you have written below
var claimedOps = []string{}

const inlineLimit = 1 << 20 // bytes; larger data goes by file

type fields = map[string]any

// Data is a sequence of bytes in a message: base64 or a file.
type Data struct {
	Data string `json:"data,omitempty"`
	File string `json:"file,omitempty"`
}

// Artifact is a packed file or a folder.
type Artifact struct {
	Packed    *Data  `json:"packed"`
	Directory string `json:"directory"`
}

// Request holds the fields that this adapter knows.
type Request struct {
	ID       int      `json:"id"`
	Op       string   `json:"op"`
	Protocol string   `json:"protocol"`
	Folder   string   `json:"folder"`
	Artifact Artifact `json:"artifact"`
	Want     string   `json:"want"`
	Document string   `json:"document"`
	Data     *Data    `json:"data"`
}

// Refusal says that your library refuses the artifact, as SPEC.md chapter 20 says: return it with its class and code.
type Refusal struct{ Class, Code, At string }

func (r Refusal) Error() string { return r.Code }

// Unsupported says that your library does not have what is asked for.
type Unsupported struct{ What string }

func (u Unsupported) Error() string { return u.What }

// Adapter answers what the suite asks: each method gives the fields of the answer `ok`.
type Adapter struct {
	folder string // where files go between the suite and you; named by hello
	files  int
}

// hello says who you are, and claims what you can do; nobody asks for what you do not claim.
func (a *Adapter) hello(request Request) (fields, error) {
	if !strings.HasPrefix(request.Protocol, "1.") {
		return nil, Unsupported{"protocol:" + request.Protocol}
	}
	a.folder = request.Folder
	return fields{
		"name":     "my-etui",
		"version":  "0.1",
		"language": "go",
		"ops":      claimedOps,
		"areas":    []string{}, // weights, config, training, optimizer, state, parts
		"forms":    []string{}, // packed, directory
		"features": []string{}, // chunks, encoding.complex, encoding.packed4, …
		"dtypes":   []string{}, // float32, int8, …: those of SPEC.md chapter 2.1
		"formats":  []string{},
	}, nil
}

// decode opens an artifact and answers with what it holds: identity, profile, content, read.
func (a *Adapter) decode(request Request) (fields, error) {
	path, err := a.pathOf(request.Artifact)
	if err != nil {
		return nil, err
	}
	// Call your library here, for example:
	//     model, err := myetui.Open(path)
	//     return fields{"identity": model.Identity, "profile": model.Profile, "content": …, "read": []any{}}, nil
	// and turn its errors into Refusal. A tensor is
	//     fields{"dtype": "float32", "shape": []int{2, 3}, "data": …} with the data of dataOf.
	return nil, Unsupported{"op:decode of " + filepath.Base(path)}
}

// validate verifies every byte of an artifact, or checks one document.
func (a *Adapter) validate(request Request) (fields, error) {
	if request.Document != "" {
		data, err := a.bytesOf(request.Data)
		if err != nil {
			return nil, err
		}
		return nil, Unsupported{fmt.Sprintf("op:validate of a document of %d bytes", len(data))}
	}
	return nil, Unsupported{"op:validate"}
}

// reset forgets everything: the next request must not find traces of those before.
func (a *Adapter) reset(Request) (fields, error) { return fields{}, nil }

// bye is the last request; the program ends behind it.
func (a *Adapter) bye(Request) (fields, error) { return fields{}, nil }

// bytesOf gives bytes that the suite sends.
func (a *Adapter) bytesOf(data *Data) ([]byte, error) {
	if data == nil {
		return nil, errors.New("no data in the request")
	}
	if data.File != "" {
		return os.ReadFile(data.File)
	}
	return base64.StdEncoding.DecodeString(data.Data)
}

// dataOf gives bytes on their way to the suite.
func (a *Adapter) dataOf(data []byte) (Data, error) {
	if len(data) < inlineLimit {
		return Data{Data: base64.StdEncoding.EncodeToString(data)}, nil
	}
	path, err := a.written(data)
	return Data{File: path}, err
}

// pathOf says where an artifact is: its folder, or its packed file, which is written if it came inline.
func (a *Adapter) pathOf(artifact Artifact) (string, error) {
	if artifact.Directory != "" {
		return artifact.Directory, nil
	}
	if artifact.Packed != nil && artifact.Packed.File != "" {
		return artifact.Packed.File, nil
	}
	data, err := a.bytesOf(artifact.Packed)
	if err != nil {
		return "", err
	}
	return a.written(data)
}

func (a *Adapter) written(data []byte) (string, error) {
	a.files++
	path := filepath.Join(a.folder, fmt.Sprintf("adapter-%d.bin", a.files))
	return path, os.WriteFile(path, data, 0o600)
}

// answered gives the answer to a request, whatever happens.
func (a *Adapter) answered(request Request) (answer fields) {
	defer func() {
		if panicked := recover(); panicked != nil {
			answer = fields{"id": request.ID, "result": "fault", "message": fmt.Sprint(panicked)}
		}
	}()
	ops := map[string]func(Request) (fields, error){
		"hello": a.hello, "decode": a.decode, "validate": a.validate, "reset": a.reset, "bye": a.bye,
	}
	claimed := append([]string{"hello", "reset", "bye"}, claimedOps...)
	op, known := ops[request.Op]
	if !known || !contains(claimed, request.Op) {
		return fields{"id": request.ID, "result": "unsupported", "what": "op:" + request.Op}
	}
	answer, err := op(request)
	var refusal Refusal
	var unsupported Unsupported
	switch {
	case err == nil:
		answer["result"] = "ok"
	case errors.As(err, &refusal):
		answer = fields{"result": "reject", "class": refusal.Class, "code": refusal.Code, "at": refusal.At}
	case errors.As(err, &unsupported):
		answer = fields{"result": "unsupported", "what": unsupported.What}
	default:
		answer = fields{"result": "fault", "message": err.Error()}
	}
	answer["id"] = request.ID
	return answer
}

func contains(names []string, name string) bool {
	for _, each := range names {
		if each == name {
			return true
		}
	}
	return false
}

// run answers until the suite says bye, or is gone.
func run(input io.Reader, output io.Writer) error {
	adapter := &Adapter{}
	requests := json.NewDecoder(bufio.NewReader(input))
	for {
		var request Request
		if err := requests.Decode(&request); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		// Encode ends each answer with a newline.
		if err := json.NewEncoder(output).Encode(adapter.answered(request)); err != nil || request.Op == "bye" {
			return err
		}
	}
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
