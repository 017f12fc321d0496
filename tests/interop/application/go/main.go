// An application with one address, a user name and a password for everything, by nacos-sdk-go v2, behind JSON lines: see
// test_application.py. ENDPOINT of the environment, host:port, stands for the list of servers.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/config_client"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

type request struct {
	Id   int    `json:"id"`
	Do   string `json:"do"`
	Name string `json:"name"`
	Ip   string `json:"ip"`
	Port uint64 `json:"port"`
}

const group = "DEFAULT_GROUP"

var param vo.NacosClientParam
var naming naming_client.INamingClient
var config config_client.IConfigClient

func say(what map[string]interface{}) {
	text, _ := json.Marshal(what)
	fmt.Println(string(text))
}

func run(r *request) (interface{}, error) {
	var err error
	if r.Do == "register" {
		return naming.RegisterInstance(vo.RegisterInstanceParam{ServiceName: r.Name, Ip: r.Ip, Port: r.Port, Weight: 1, Enable: true, Healthy: true, Ephemeral: true})
	}
	if r.Do == "list" {
		found := []string{}
		list, err := naming.SelectAllInstances(vo.SelectAllInstancesParam{ServiceName: r.Name})
		for _, i := range list {
			found = append(found, fmt.Sprintf("%s:%d", i.Ip, i.Port))
		}
		return found, err
	}
	if r.Do == "status" {
		return map[bool]string{true: "UP", false: "DOWN"}[naming.ServerHealthy()], nil
	}
	if config == nil {
		if config, err = clients.NewConfigClient(param); err != nil {
			return nil, err
		}
	}
	switch r.Do {
	case "get":
		return config.GetConfig(vo.ConfigParam{DataId: r.Name, Group: group})
	case "publish":
		return config.PublishConfig(vo.ConfigParam{DataId: r.Name, Group: group, Content: "a=b"})
	case "remove":
		return config.DeleteConfig(vo.ConfigParam{DataId: r.Name, Group: group})
	case "listen":
		return nil, config.ListenConfig(vo.ConfigParam{DataId: r.Name, Group: group, OnChange: func(namespace, group, name, text string) {
			fmt.Fprintln(os.Stderr, "heard", text)
		}})
	}
	return nil, fmt.Errorf("unknown: %s", r.Do)
}

func main() {
	dir := os.Args[3]
	param.ClientConfig = constant.NewClientConfig(constant.WithUsername("nacos"), constant.WithPassword("secret"), constant.WithNotLoadCacheAtStart(true),
		constant.WithLogDir(dir), constant.WithCacheDir(dir), constant.WithEndpoint(os.Getenv("ENDPOINT")))
	if os.Getenv("ENDPOINT") == "" {
		host, port, _ := net.SplitHostPort(os.Args[1])
		number, _ := strconv.ParseUint(port, 10, 16)
		param.ServerConfigs = []constant.ServerConfig{*constant.NewServerConfig(host, number)}
	}
	var err error
	if naming, err = clients.NewNamingClient(param); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	say(map[string]interface{}{"ready": true})
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		r := &request{}
		if err := json.Unmarshal(in.Bytes(), r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		value, err := run(r)
		if err != nil {
			say(map[string]interface{}{"id": r.Id, "ok": false, "error": err.Error()})
		} else {
			say(map[string]interface{}{"id": r.Id, "ok": true, "value": value})
		}
	}
}
