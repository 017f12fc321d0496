// What only nacos-sdk-go v2 has; and the configuration service, as applications ask for it (test_application.py).
package main

import (
	"fmt"
	"os"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/config_client"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

type pushed = model.Instance

func more(c naming_client.INamingClient, r *request) (interface{}, error) {
	switch r.Do {
	case "batch":
		p := vo.BatchRegisterInstanceParam{ServiceName: r.Service, GroupName: r.Group}
		for _, h := range r.Hosts {
			one := *r
			one.Ip, one.Port = h[0].(string), uint64(h[1].(float64))
			p.Instances = append(p.Instances, one.instance())
		}
		return c.BatchRegisterInstance(p)
	case "status":
		return map[bool]string{true: "UP", false: "DOWN"}[c.ServerHealthy()], nil
	case "close":
		c.CloseClient()
		return nil, nil
	}
	return configuration(r)
}

var config config_client.IConfigClient // from the first question on

func configuration(r *request) (interface{}, error) {
	var err error
	if config == nil {
		if config, err = clients.NewConfigClient(param); err != nil {
			return nil, err
		}
	}
	asked := vo.ConfigParam{DataId: r.Name, Group: r.Group}
	switch r.Do {
	case "get":
		return config.GetConfig(asked)
	case "publish":
		asked.Content = "a=b"
		return config.PublishConfig(asked)
	case "remove":
		return config.DeleteConfig(asked)
	case "listen":
		asked.OnChange = func(namespace, group, name, text string) {
			fmt.Fprintln(os.Stderr, "heard", text)
		}
		return nil, config.ListenConfig(asked)
	}
	return nil, fmt.Errorf("unknown: %s", r.Do)
}
