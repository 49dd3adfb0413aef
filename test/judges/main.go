// The judges of this project's claims about other tools: kstatus, Argo CD's Lua and Prometheus, each by its own library.
//
// One JSON value a line on stdin gives one JSON value a line on stdout.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// A judge answers one line. What the tool itself rejects is a finding, not an error.
type judge func(line []byte) (any, error)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: judges kstatus | lua | rules | promql | evaluate"))
	}
	judges := map[string]judge{
		"kstatus":  judgeStatus,
		"lua":      runScript,
		"rules":    parseRules,
		"promql":   parseExpression,
		"evaluate": evaluate,
	}
	judge, ok := judges[os.Args[1]]
	if !ok {
		fail(fmt.Errorf("there is no judge %q", os.Args[1]))
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 4<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		answer, err := judge(lines.Bytes())
		if err != nil {
			fail(err)
		}
		if err := answers.Encode(answer); err != nil {
			fail(err)
		}
	}
	if err := lines.Err(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
