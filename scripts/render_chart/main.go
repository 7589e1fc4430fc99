// Render a Helm chart to standard output where Helm cannot be installed: Go's text/template, sprig and the functions
// that Helm adds, like `helm template`. Subcharts, hooks and releases are not supported, as the chart has none.
//
//	render_chart [-f VALUES]... [-release NAME] [-namespace NAME] [-api GROUP/VERSION]... CHART
//
// An error in a template or in the values is printed to standard error, and the exit status is 1.
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

// Has reports whether the cluster has an API, like .Capabilities.APIVersions.Has of Helm.
func (m many) Has(name string) bool {
	for _, known := range m {
		if known == name {
			return true
		}
	}
	return false
}

// chartFiles is .Files of Helm: the files of the chart other than its templates.
type chartFiles struct{ folder string }

// Get returns the content of a file or, like Helm, "" if there is none.
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
		// text/template prints this for a missing key of a map, whatever the option; Helm removes it, too.
		text := strings.ReplaceAll(out.String(), "<no value>", "")
		if strings.TrimSpace(text) != "" && !strings.HasSuffix(name, ".txt") { // notes are rendered, but not printed
			fmt.Printf("---\n# Source: %s\n%s\n", name, strings.TrimSpace(text))
		}
	}
	return nil
}

// parse reads every template. names: those that produce manifests, in order.
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

// functions returns sprig's functions and Helm's own, without those of sprig that Helm removes.
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

// merge overrides base with over: maps key by key, other values as a whole; null removes a key.
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

// titled capitalises keys: version becomes .Chart.Version, as in Helm's struct.
func titled(document map[string]interface{}) map[string]interface{} {
	named := map[string]interface{}{}
	for key, value := range document {
		named[strings.ToUpper(key[:1])+key[1:]] = value
	}
	return named
}
