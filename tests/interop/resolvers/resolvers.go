// What Go's net.Resolver has for each name that is given, one line a name: addresses, or "priority weight port target" of
// names that begin with an underscore. GODEBUG=netdns=go or cgo says who looks up.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
)

func lookup(name string) string {
	if strings.HasPrefix(name, "_") {
		_, found, err := net.DefaultResolver.LookupSRV(context.Background(), "", "", name)
		if err != nil {
			return "error"
		}
		var parts []string
		for _, r := range found {
			parts = append(parts, fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, strings.TrimSuffix(r.Target, ".")))
		}
		return strings.Join(parts, ",")
	}
	found, err := net.DefaultResolver.LookupHost(context.Background(), name)
	if err != nil {
		return "error"
	}
	return strings.Join(found, ",")
}

func main() {
	for _, name := range os.Args[1:] {
		fmt.Println(lookup(name))
	}
}
