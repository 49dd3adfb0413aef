package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
)

type scriptInput struct {
	Script string `json:"script"`
	Object any    `json:"object"`
}

type scriptAnswer struct {
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

// runScript takes {script, object}, and runs the script as Argo CD runs one from argocd-cm: with the object as `obj`, with
// the base and table libraries and two functions of os, for one second at most.
func runScript(line []byte) (any, error) {
	var input scriptInput
	if err := json.Unmarshal(line, &input); err != nil {
		return nil, fmt.Errorf("not {script, object}: %w", err)
	}
	result, err := execute(input)
	if err != nil {
		return scriptAnswer{Error: err.Error()}, nil
	}
	return scriptAnswer{Result: result}, nil
}

func execute(input scriptInput) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage,
		lua.BaseLibName: lua.OpenBase,
		lua.TabLibName:  lua.OpenTable,
	} {
		call := lua.P{Fn: state.NewFunction(open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, openOS)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", toLua(state, input.Object))
	if err := state.DoString(input.Script); err != nil {
		return nil, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return nil, fmt.Errorf("the script returns %s, not a table", state.Get(-1).Type())
	}
	return fromLua(table), nil
}

// Without arguments, as far as scripts of this project use them.
func openOS(state *lua.LState) int {
	state.Push(state.SetFuncs(state.NewTable(), map[string]lua.LGFunction{
		"time": func(state *lua.LState) int {
			state.Push(lua.LNumber(time.Now().Unix()))
			return 1
		},
	}))
	return 1
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.NewTable()
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

// fromLua gives an empty table as an array: Lua knows no difference, and Argo CD reads it so.
func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case lua.LBool:
		return bool(value)
	case lua.LNumber:
		return float64(value)
	case lua.LString:
		return string(value)
	case *lua.LTable:
		fields := map[string]any{}
		value.ForEach(func(key, item lua.LValue) {
			fields[key.String()] = fromLua(item)
		})
		if value.Len() < len(fields) {
			return fields
		}
		items := []any{}
		for index := 1; index <= value.Len(); index++ {
			items = append(items, fromLua(value.RawGetInt(index)))
		}
		return items
	}
	return nil
}
