// What only nacos-sdk-go 1.x has (HTTP, pushes over UDP).
package main

import (
	"fmt"

	"github.com/nacos-group/nacos-sdk-go/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/model"
)

type pushed = model.SubscribeService

func more(c naming_client.INamingClient, r *request) (interface{}, error) {
	if r.Do == "close" { // it has no end but the process's
		return nil, nil
	}
	return nil, fmt.Errorf("unknown: %s", r.Do)
}
