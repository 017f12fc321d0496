// CoreDNS with the plug-ins of the recipe, and those alone: all of them take minutes to build.
package main

import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"

	"github.com/coredns/coredns/coremain"
)

func main() {
	coremain.Run()
}
