// Render a Helm chart to standard output, where Helm itself cannot be installed: Go's text/template, sprig and the
// functions that Helm adds, as `helm template` has them. Subcharts, hooks and releases are not for us and not here.
//
//	render_chart [-f VALUES]... [-release NAME] [-namespace NAME] [-api GROUP/VERSION]... CHART
//
// What is wrong in a template or in the values ends it with status 1 and a message on standard error.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"github.com/ghodss/yaml"
)

const maxDepth = 100 // of includes within includes; Helm allows 1000

type many []string

func (m *many) String() string         { return strings.Join(*m, ",") }
func (m *many) Set(value string) error { *m = append(*m, value); return nil }

// Has says whether the cluster knows an API, as .Capabilities.APIVersions.Has of Helm does.
func (m many) Has(name string) bool {
	for _, known := range m {
		if known == name {
			return true
		}
	}
	return false
}

// chartFiles is .Files of Helm: what lies in the chart beside its templates.
type chartFiles struct{ folder string }

// Get returns the file, or "" like Helm when there is none.
func (f chartFiles) Get(name string) string {
	content, err := os.ReadFile(filepath.Join(f.folder, name))
	if err != nil {
		return ""
	}
	return string(content)
}

func main() {
	var valueFiles, apis many
	release := flag.String("release", "release", "name of the release")
	namespace := flag.String("namespace", "default", "namespace of the release")
	flag.Var(&valueFiles, "f", "file of values, over those of the chart; may be repeated")
	flag.Var(&apis, "api", "API that the cluster has; may be repeated")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := render(flag.Arg(0), *release, *namespace, valueFiles, apis); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(folder, release, namespace string, valueFiles, apis many) error {
	chart, err := readYAML(filepath.Join(folder, "Chart.yaml"))
	if err != nil {
		return err
	}
	values, err := readYAML(filepath.Join(folder, "values.yaml"))
	if err != nil {
		return err
	}
	for _, name := range valueFiles {
		over, err := readYAML(name)
		if err != nil {
			return err
		}
		values = merge(values, over)
	}
	base := fmt.Sprintf("%s/templates", chart["name"])
	all, names, err := parse(folder, base)
	if err != nil {
		return err
	}
	context := map[string]interface{}{
		"Values":       values,
		"Chart":        titled(chart),
		"Release":      map[string]interface{}{"Name": release, "Namespace": namespace, "Service": "Helm", "IsInstall": true, "IsUpgrade": false, "Revision": 1},
		"Capabilities": map[string]interface{}{"APIVersions": apis, "KubeVersion": map[string]interface{}{"Version": "v1.30.0", "Major": "1", "Minor": "30"}},
		"Files":        chartFiles{folder},
	}
	for _, name := range names {
		context["Template"] = map[string]interface{}{"Name": name, "BasePath": base}
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, name, context); err != nil {
			return err
		}
		// A missing key of a map of any type prints so, whatever the option; Helm takes it out, too.
		text := strings.ReplaceAll(out.String(), "<no value>", "")
		if strings.TrimSpace(text) != "" && !strings.HasSuffix(name, ".txt") { // notes are rendered and not shown
			fmt.Printf("---\n# Source: %s\n%s\n", name, strings.TrimSpace(text))
		}
	}
	return nil
}

// parse reads every template; names are those that make manifests, in order.
func parse(folder, base string) (*template.Template, []string, error) {
	all := template.New("chart").Option("missingkey=zero")
	all.Funcs(sprig.TxtFuncMap()).Funcs(functions(all))
	paths, err := filepath.Glob(filepath.Join(folder, "templates", "*"))
	if err != nil {
		return nil, nil, err
	}
	sort.Strings(paths)
	var names []string
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		name := base + "/" + filepath.Base(path)
		if _, err := all.New(name).Parse(string(content)); err != nil {
			return nil, nil, err
		}
		if !strings.HasPrefix(filepath.Base(path), "_") {
			names = append(names, name)
		}
	}
	return all, names, nil
}

// functions are those that Helm has beside sprig's, and without those of sprig's that Helm takes away.
func functions(all *template.Template) template.FuncMap {
	depth := 0
	include := func(name string, data interface{}) (string, error) {
		if depth++; depth > maxDepth {
			return "", fmt.Errorf("%s includes itself", name)
		}
		defer func() { depth-- }()
		var out strings.Builder
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	gone := func() (string, error) { return "", errors.New("env and expandenv are not there in Helm") }
	return template.FuncMap{
		"env":       gone,
		"expandenv": gone,
		"include":   include,
		"tpl": func(text string, data interface{}) (string, error) {
			copied, err := all.Clone()
			if err != nil {
				return "", err
			}
			parsed, err := copied.New("tpl").Parse(text)
			if err != nil {
				return "", err
			}
			var out strings.Builder
			err = parsed.Execute(&out, data)
			return strings.ReplaceAll(out.String(), "<no value>", ""), err
		},
		"required": func(message string, value interface{}) (interface{}, error) {
			if value == nil || value == "" {
				return nil, errors.New(message)
			}
			return value, nil
		},
		"fail":   func(message string) (string, error) { return "", errors.New(message) },
		"lookup": func(_, _, _, _ string) map[string]interface{} { return map[string]interface{}{} },
		"toYaml": func(value interface{}) (string, error) {
			text, err := yaml.Marshal(value)
			return strings.TrimSuffix(string(text), "\n"), err
		},
		"fromYaml": func(text string) (map[string]interface{}, error) {
			document := map[string]interface{}{}
			err := yaml.Unmarshal([]byte(text), &document)
			return document, err
		},
	}
}

func readYAML(path string) (map[string]interface{}, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	document := map[string]interface{}{}
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return document, nil
}

// merge lays over on base: maps key by key, everything else whole; null takes a key away.
func merge(base, over map[string]interface{}) map[string]interface{} {
	merged := map[string]interface{}{}
	for key, value := range base {
		merged[key] = value
	}
	for key, value := range over {
		below, isMap := merged[key].(map[string]interface{})
		above, also := value.(map[string]interface{})
		switch {
		case value == nil:
			delete(merged, key)
		case isMap && also:
			merged[key] = merge(below, above)
		default:
			merged[key] = value
		}
	}
	return merged
}

// titled makes .Chart.Version of version, as Helm's struct has it.
func titled(document map[string]interface{}) map[string]interface{} {
	named := map[string]interface{}{}
	for key, value := range document {
		named[strings.ToUpper(key[:1])+key[1:]] = value
	}
	return named
}
